"""The calls of minio 6.0.2. ENDPOINT is the server."""
import io
import os
import urllib.request
from datetime import timedelta

from minio import CopyConditions, Minio
from minio.error import NoSuchKey

MIB = 1024 * 1024
client = Minio(
    os.environ["ENDPOINT"].replace("http://", ""),
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    secure=False,
)
b = "old-minio"
client.make_bucket(b)
assert client.bucket_exists(b) and not client.bucket_exists("none-such")
assert b in [each.name for each in client.list_buckets()]
client.put_object(b, "a b/ü", io.BytesIO(b"hello"), 5, content_type="text/x", metadata={"who": "me"})
stat = client.stat_object(b, "a b/ü")
assert stat.size == 5 and stat.content_type == "text/x", stat
assert client.get_object(b, "a b/ü").read() == b"hello"
assert client.get_partial_object(b, "a b/ü", 1, 2).read() == b"el"
data = os.urandom(11 * MIB)
with open("large", "wb") as file:
    file.write(data)
client.fput_object(b, "large", "large")
client.fget_object(b, "large", "large.back")
with open("large.back", "rb") as file:
    assert file.read() == data
client.copy_object(b, "copy", b + "/large", CopyConditions())
assert client.stat_object(b, "copy").size == len(data)
assert sorted(o.object_name for o in client.list_objects(b)) == ["a b/", "copy", "large"]
assert [o.object_name for o in client.list_objects_v2(b, recursive=True)] == ["a b/ü", "copy", "large"]
link = client.presigned_get_object(b, "a b/ü", expires=timedelta(minutes=1))
assert urllib.request.urlopen(link, timeout=20).read() == b"hello"
link = client.presigned_put_object(b, "put", expires=timedelta(minutes=1))
urllib.request.urlopen(urllib.request.Request(link, b"sent", method="PUT"), timeout=20)
assert client.get_object(b, "put").read() == b"sent"
assert not list(client.remove_objects(b, ["a b/ü", "copy", "large"]))
client.remove_object(b, "put")
try:
    client.stat_object(b, "put")
    raise AssertionError("removed, and still there")
except NoSuchKey:
    pass
client.remove_bucket(b)
