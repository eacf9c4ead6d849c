"""obstore: object_store, the library of Rust programs, for Python. ENDPOINT is the server."""
import datetime
import os
import urllib.request

import boto3
import obstore
from obstore.store import S3Store

MIB = 1024 * 1024
boto3.client("s3", endpoint_url=os.environ["ENDPOINT"]).create_bucket(Bucket="rust")
store = S3Store("rust", endpoint=os.environ["ENDPOINT"], client_options={"allow_http": True}, virtual_hosted_style_request=False)
obstore.put(store, "a b/x+ü", b"hello")
assert bytes(obstore.get(store, "a b/x+ü").bytes()) == b"hello"
assert bytes(obstore.get_range(store, "a b/x+ü", start=1, length=2)) == b"el"
try:
    obstore.put(store, "a b/x+ü", b"again", mode="create")
    raise AssertionError("it exists already")
except obstore.exceptions.AlreadyExistsError:
    pass
data = os.urandom(12 * MIB)
obstore.put(store, "large", data)
assert bytes(obstore.get(store, "large").bytes()) == data
assert [each["path"] for batch in obstore.list(store) for each in batch] == ["a b/x+ü", "large"]
assert list(obstore.list_with_delimiter(store)["common_prefixes"]) == ["a b"]
obstore.copy(store, "large", "copied")
obstore.rename(store, "copied", "renamed")
url = obstore.sign(store, "PUT", "signed", datetime.timedelta(seconds=60))
urllib.request.urlopen(urllib.request.Request(url, b"sent", method="PUT"), timeout=20)
assert bytes(obstore.get(store, "signed").bytes()) == b"sent"
obstore.delete(store, ["large", "renamed", "signed", "a b/x+ü"])
assert [each for batch in obstore.list(store) for each in batch] == []
