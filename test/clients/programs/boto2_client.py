"""boto 2.49 as old applications use it: signature version 2 and OrdinaryCallingFormat. Runs the function that is named."""
import io
import os
import socket
import sys
import urllib.request

from boto.exception import S3ResponseError
from boto.s3.connection import OrdinaryCallingFormat, S3Connection
from boto.s3.key import Key

MIB = 1024 * 1024
host, port = os.environ["ENDPOINT"].replace("http://", "").split(":")
key = os.environ["AWS_ACCESS_KEY_ID"]
secret = os.environ["AWS_SECRET_ACCESS_KEY"]
conn = S3Connection(key, secret, host=host, port=int(port), is_secure=False, calling_format=OrdinaryCallingFormat())


def fails(status, call):
    try:
        call()
    except S3ResponseError as error:
        assert error.status == status, error
        return error
    raise AssertionError("expected %d" % status)


def put_get_list():
    bucket = conn.create_bucket("old-put-get-list")
    assert "old-put-get-list" in [each.name for each in conn.get_all_buckets()]
    k = Key(bucket, "folder/a b+ü?x=1&y")
    k.set_metadata("who", "me")
    k.set_contents_from_string("hello", headers={"Content-Type": "text/plain", "Cache-Control": "no-cache"})
    got = bucket.get_key(k.name)
    assert got.get_contents_as_string() == b"hello"
    assert got.get_metadata("who") == "me" and got.content_type == "text/plain" and got.size == 5
    assert got.get_contents_as_string(headers={"Range": "bytes=1-2"}) == b"el"
    assert bucket.get_key("none") is None
    for i in range(25):
        Key(bucket, "many/%02d" % i).set_contents_from_string(str(i))
    assert len(list(bucket.list(prefix="many/"))) == 25
    page = bucket.get_all_keys(prefix="many/", max_keys=10)
    assert page.is_truncated and [each.name for each in page] == ["many/%02d" % i for i in range(10)]
    page = bucket.get_all_keys(prefix="many/", max_keys=20, marker="many/09")
    assert [each.name for each in page] == ["many/%02d" % i for i in range(10, 25)]
    assert [each.name for each in bucket.list(delimiter="/")] == ["folder/", "many/"]
    bucket.copy_key("copy", bucket.name, "many/07")
    assert bucket.get_key("copy").get_contents_as_string() == b"7"
    assert fails(409, lambda: conn.delete_bucket(bucket.name)).error_code == "BucketNotEmpty"
    assert not bucket.delete_keys([each.name for each in bucket.list()]).errors
    conn.delete_bucket(bucket.name)
    assert conn.lookup(bucket.name) is None


def multipart():
    bucket = conn.create_bucket("old-multipart")
    data = os.urandom(11 * MIB)
    upload = bucket.initiate_multipart_upload("large", metadata={"who": "me"})
    for number in (1, 2):
        piece = data[: 6 * MIB] if number == 1 else data[6 * MIB :]
        upload.upload_part_from_file(io.BytesIO(piece), number)
    assert [part.part_number for part in upload] == [1, 2]
    assert [each.id for each in bucket.get_all_multipart_uploads()] == [upload.id]
    upload.complete_upload()
    got = bucket.get_key("large")
    assert got.get_contents_as_string() == data and got.get_metadata("who") == "me"
    copied = bucket.initiate_multipart_upload("copied")
    copied.copy_part_from_key(bucket.name, "large", 1, 0, 6 * MIB - 1)
    copied.copy_part_from_key(bucket.name, "large", 2, 6 * MIB, 11 * MIB - 1)
    copied.complete_upload()
    assert bucket.get_key("copied").get_contents_as_string() == data
    bucket.initiate_multipart_upload("dropped").cancel_upload()


def links_and_lists():
    bucket = conn.create_bucket("old-links")
    k = Key(bucket, "a b/c+")
    k.set_contents_from_string("linked")
    link = k.generate_url(60, response_headers={"response-content-type": "text/y"})
    reply = urllib.request.urlopen(link, timeout=20)
    assert reply.read() == b"linked" and reply.headers["Content-Type"] == "text/y"
    put = urllib.request.Request(conn.generate_url(60, "PUT", bucket.name, "sent"), b"up", {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(put, timeout=20)
    assert bucket.get_key("sent").get_contents_as_string() == b"up"
    bucket.configure_versioning(True)
    k.set_contents_from_string("linked again")
    assert len([v for v in bucket.list_versions(prefix="a b")]) == 2
    assert bucket.get_acl().acl.grants[0].permission == "FULL_CONTROL"
    assert bucket.get_location() == ""
    wrong = S3Connection(key, secret + "x", host=host, port=int(port), is_secure=False, calling_format=OrdinaryCallingFormat())
    assert fails(403, lambda: wrong.get_bucket(bucket.name, validate=False).get_all_keys()).error_code == "SignatureDoesNotMatch"


def buckets_by_host():
    """The connection without more settings than its host: buckets are named by sub-domains of it."""
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda name, *more, **named: resolve("127.0.0.1" if name.endswith("s3.test") else name, *more, **named)
    conn = S3Connection(key, secret, host="s3.test", port=int(port), is_secure=False)
    bucket = conn.create_bucket("by-host")
    Key(bucket, "a b/c+").set_contents_from_string("hello")
    assert bucket.get_key("a b/c+").get_contents_as_string() == b"hello"
    assert [each.name for each in bucket.list(delimiter="/")] == ["a b/"]
    link = bucket.get_key("a b/c+").generate_url(60)
    assert link.startswith("http://by-host.s3.test"), link
    assert urllib.request.urlopen(link, timeout=20).read() == b"hello"
    assert not bucket.delete_keys(["a b/c+"]).errors
    conn.delete_bucket(bucket.name)


globals()[sys.argv[1]]()
