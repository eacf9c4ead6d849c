"""A form's policy as scripts for minio 6 sign it; prints the curl command that uploads with it."""
import os
from datetime import datetime, timedelta

from minio import Minio, PostPolicy
from minio.error import ResponseError

policy = PostPolicy()
policy.set_bucket_name("test")
policy.set_key_startswith("test.html")
policy.set_content_length_range(10, 1024)
policy.set_expires(datetime.utcnow() + timedelta(days=10))

client = Minio(
    os.environ["ENDPOINT"].replace("http://", ""),
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    secure=False,
)
try:
    url, fields = client.presigned_post_policy(policy)
    command = ["curl -X POST {0}".format(url)]
    for field in fields:
        command.append("-F {0}={1}".format(field, fields[field]))
    command.append("-F file=@aa.html")
    print(" ".join(command))
except ResponseError as error:
    print(error)
