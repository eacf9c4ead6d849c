"""The newest minio for Python. ENDPOINT is the server; the function that is named runs."""
import io
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

from minio import Minio
from minio.datatypes import PostPolicy
from minio.commonconfig import ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.versioningconfig import ENABLED, VersioningConfig

MIB = 1024 * 1024
client = Minio(
    os.environ["ENDPOINT"].replace("http://", ""),
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    secure=False,
)


def fails(code, call):
    try:
        call()
    except S3Error as error:
        assert error.code == code, error
        return
    raise AssertionError("expected " + code)


def read(bucket, name, **arguments):
    reply = client.get_object(bucket, name, **arguments)
    try:
        return reply.read()
    finally:
        reply.close()
        reply.release_conn()


def make(name):
    client.make_bucket(name)
    assert client.bucket_exists(name)
    return name


def curl(*words):
    return subprocess.run(["curl", "--silent", "--show-error", *words], capture_output=True, text=True, check=True).stdout


def objects():
    b = make("minio-objects")
    assert not client.bucket_exists("none-such")
    fails("NoSuchBucket", lambda: client.remove_bucket("none-such"))
    client.put_object(b, "a b/ü+", io.BytesIO(b"hello"), 5, content_type="text/x", metadata={"who": "me"})
    stat = client.stat_object(b, "a b/ü+")
    assert stat.size == 5 and stat.content_type == "text/x" and stat.metadata["x-amz-meta-who"] == "me"
    assert read(b, "a b/ü+", offset=1, length=2) == b"el"
    data = os.urandom(11 * MIB)
    with open("large", "wb") as file:
        file.write(data)
    client.fput_object(b, "large", "large", part_size=5 * MIB)
    client.fget_object(b, "large", "large.back")
    with open("large.back", "rb") as file:
        assert file.read() == data
    client.put_object(b, "unknown", io.BytesIO(data), -1, part_size=5 * MIB)
    assert read(b, "unknown") == data
    client.copy_object(b, "copy", CopySource(b, "large"))
    sources = [ComposeSource(b, "large"), ComposeSource(b, "a b/ü+"), ]
    client.compose_object(b, "composed", sources)
    assert read(b, "composed") == data + b"hello"
    assert sorted(o.object_name for o in client.list_objects(b)) == ["a b/", "composed", "copy", "large", "unknown"]
    names = [o.object_name for o in client.list_objects(b, recursive=True)]
    assert names == ["a b/ü+", "composed", "copy", "large", "unknown"], names
    assert [o.object_name for o in client.list_objects(b, recursive=True, use_api_v1=True)] == names
    assert [o.object_name for o in client.list_objects(b, recursive=True, start_after="copy")] == ["large", "unknown"]
    assert not list(client.remove_objects(b, [DeleteObject(name) for name in names]))
    fails("NoSuchKey", lambda: client.stat_object(b, "copy"))
    client.remove_bucket(b)


def tags_and_versions():
    b = make("minio-versions")
    client.set_bucket_versioning(b, VersioningConfig(ENABLED))
    assert client.get_bucket_versioning(b).status == ENABLED
    first = client.put_object(b, "k", io.BytesIO(b"1"), 1).version_id
    client.put_object(b, "k", io.BytesIO(b"2"), 1)
    client.remove_object(b, "k")
    assert read(b, "k", version_id=first) == b"1"
    versions = list(client.list_objects(b, include_version=True))
    assert len(versions) == 3 and sum(v.is_delete_marker for v in versions) == 1
    tags = Tags.new_object_tags()
    tags["one"] = "1 ü"
    client.set_object_tags(b, "k", tags, version_id=first)
    assert client.get_object_tags(b, "k", version_id=first) == {"one": "1 ü"}
    client.delete_object_tags(b, "k", version_id=first)
    bucket_tags = Tags.new_bucket_tags()
    bucket_tags["team"] = "a"
    client.set_bucket_tags(b, bucket_tags)
    assert client.get_bucket_tags(b) == {"team": "a"}
    assert not list(client.remove_objects(b, [DeleteObject("k", v.version_id) for v in versions]))
    client.remove_bucket(b)


def links():
    b = make("minio-links")
    link = client.presigned_put_object(b, "a b", expires=timedelta(minutes=1))
    assert curl("--fail", "-X", "PUT", "-d", "sent", link) == ""
    assert curl("--fail", client.presigned_get_object(b, "a b")) == "sent"
    policy = PostPolicy(b, datetime.now(timezone.utc) + timedelta(minutes=1))
    policy.add_starts_with_condition("key", "form/")
    policy.add_content_length_range_condition(1, 100)
    fields = client.presigned_post_policy(policy)
    words = [word for field in fields.items() for word in ("-F", "%s=%s" % field)]
    url = "%s/%s" % (os.environ["ENDPOINT"], b)
    assert curl("--fail", *words, "-F", "key=form/a", "-F", "file=by form", url) == ""
    assert read(b, "form/a") == b"by form"
    assert "AccessDenied" in curl(*words, "-F", "key=other", "-F", "file=by form", url)


globals()[sys.argv[1]]()
