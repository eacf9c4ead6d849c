"""boto3 with its default settings. Runs the function that is named on the command line; ENDPOINT is the server."""
import datetime
import hashlib
import io
import json
import os
import subprocess
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1024 * 1024
ENDPOINT = os.environ["ENDPOINT"]
s3 = boto3.client("s3", endpoint_url=ENDPOINT)


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response["Error"]
        return error.response
    raise AssertionError("expected " + code)


def make(name):
    s3.create_bucket(Bucket=name)
    return name


def put_get_list():
    b = make("put-get-list")
    put = s3.put_object(Bucket=b, Key="a", Body=b"hello", Metadata={"who": "me"}, CacheControl="no-cache")
    assert put["ETag"] == '"%s"' % hashlib.md5(b"hello").hexdigest()
    assert put["ChecksumCRC32"]
    got = s3.get_object(Bucket=b, Key="a")
    assert got["Body"].read() == b"hello"
    assert got["Metadata"] == {"who": "me"} and got["CacheControl"] == "no-cache"
    assert s3.get_object(Bucket=b, Key="a", Range="bytes=1-2")["Body"].read() == b"el"
    fails("NoSuchKey", s3.get_object, Bucket=b, Key="none")
    assert fails("404", s3.head_object, Bucket=b, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 404
    keys = sorted("dir%d/key %03d+ü" % (i % 3, i) for i in range(60))
    for key in keys:
        s3.put_object(Bucket=b, Key=key, Body=key.encode())
    for version in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(version).paginate(Bucket=b, Prefix="dir", PaginationConfig={"PageSize": 7})
        assert [o["Key"] for page in pages for o in page["Contents"]] == keys, version
        pages = s3.get_paginator(version).paginate(Bucket=b, Delimiter="/", PaginationConfig={"PageSize": 2})
        folders = [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])]
        assert folders == ["dir0/", "dir1/", "dir2/"], folders
    done = s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": k} for k in keys + ["a", "none"]]})
    assert len(done["Deleted"]) == 62 and "Errors" not in done
    assert s3.list_objects_v2(Bucket=b)["KeyCount"] == 0
    s3.delete_bucket(Bucket=b)
    s3.get_waiter("bucket_not_exists").wait(Bucket=b)


def versions():
    b = make("versions")
    s3.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=b)["Status"] == "Enabled"
    ids = [s3.put_object(Bucket=b, Key="k", Body=b"v%d" % i)["VersionId"] for i in range(5)]
    gone = s3.delete_object(Bucket=b, Key="k")
    assert gone["DeleteMarker"]
    fails("NoSuchKey", s3.get_object, Bucket=b, Key="k")
    assert s3.get_object(Bucket=b, Key="k", VersionId=ids[2])["Body"].read() == b"v2"
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=b, PaginationConfig={"PageSize": 2}))
    assert [v["VersionId"] for page in pages for v in page.get("Versions", [])] == ids[::-1]
    assert [m["VersionId"] for page in pages for m in page.get("DeleteMarkers", [])] == [gone["VersionId"]]
    s3.delete_object(Bucket=b, Key="k", VersionId=gone["VersionId"])
    assert s3.get_object(Bucket=b, Key="k")["Body"].read() == b"v4"
    boto3.resource("s3", endpoint_url=ENDPOINT).Bucket(b).object_versions.delete()
    s3.delete_bucket(Bucket=b)


def tagging_and_copy():
    b = make("tagging-and-copy")
    s3.put_object(Bucket=b, Key="a b/ü", Body=b"x" * 1000, Tagging="one=1&two=2%203", ContentType="text/x", Metadata={"m": "1"})
    tags = {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=b, Key="a b/ü")["TagSet"]}
    assert tags == {"one": "1", "two": "2 3"}, tags
    s3.copy_object(Bucket=b, Key="copy", CopySource={"Bucket": b, "Key": "a b/ü"})
    head = s3.head_object(Bucket=b, Key="copy")
    assert head["ContentType"] == "text/x" and head["Metadata"] == {"m": "1"}
    assert len(s3.get_object_tagging(Bucket=b, Key="copy")["TagSet"]) == 2
    s3.copy_object(Bucket=b, Key="copy", CopySource=b + "/copy", MetadataDirective="REPLACE", Metadata={"m": "2"})
    assert s3.head_object(Bucket=b, Key="copy")["Metadata"] == {"m": "2"}
    s3.put_object_tagging(Bucket=b, Key="copy", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.delete_object_tagging(Bucket=b, Key="copy")
    assert s3.get_object_tagging(Bucket=b, Key="copy")["TagSet"] == []
    s3.put_bucket_tagging(Bucket=b, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert s3.get_bucket_tagging(Bucket=b)["TagSet"] == [{"Key": "k", "Value": "v"}]
    s3.copy(CopySource={"Bucket": b, "Key": "copy"}, Bucket=b, Key="managed")
    assert s3.get_object(Bucket=b, Key="managed")["Body"].read() == b"x" * 1000


def multipart():
    b = make("multipart")
    data = os.urandom(11 * MIB)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)
    s3.upload_fileobj(io.BytesIO(data), b, "managed", Config=config, ExtraArgs={"Metadata": {"m": "1"}})
    back = io.BytesIO()
    s3.download_fileobj(b, "managed", back, Config=config)
    assert back.getvalue() == data
    s3.copy({"Bucket": b, "Key": "managed"}, b, "copied", Config=config)
    assert s3.get_object(Bucket=b, Key="copied")["Body"].read() == data
    for algorithm, kind in (("CRC32", "COMPOSITE"), ("CRC64NVME", "FULL_OBJECT"), ("CRC32C", "FULL_OBJECT")):
        up = s3.create_multipart_upload(Bucket=b, Key=algorithm, ChecksumAlgorithm=algorithm, ChecksumType=kind)
        place = {"Bucket": b, "Key": algorithm, "UploadId": up["UploadId"]}
        parts = []
        for number, piece in enumerate((data[: 5 * MIB], data[5 * MIB :]), 1):
            part = s3.upload_part(**place, PartNumber=number, Body=piece, ChecksumAlgorithm=algorithm)
            sum_name = "Checksum" + algorithm
            parts.append({"PartNumber": number, "ETag": part["ETag"], sum_name: part[sum_name]})
        pages = s3.get_paginator("list_parts").paginate(**place, PaginationConfig={"PageSize": 1})
        assert [p["PartNumber"] for page in pages for p in page["Parts"]] == [1, 2]
        done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, ChecksumType=kind)
        assert done["ChecksumType"] == kind
        got = s3.get_object(Bucket=b, Key=algorithm, ChecksumMode="ENABLED")
        assert got["Body"].read() == data
        assert got["ChecksumType"] == kind
        assert s3.get_object(Bucket=b, Key=algorithm, PartNumber=2)["Body"].read() == data[5 * MIB :]
    up = s3.create_multipart_upload(Bucket=b, Key="aborted")
    uploads = s3.list_multipart_uploads(Bucket=b)["Uploads"]
    assert [u["UploadId"] for u in uploads] == [up["UploadId"]]
    s3.abort_multipart_upload(Bucket=b, Key="aborted", UploadId=up["UploadId"])
    fails("NoSuchUpload", s3.upload_part, Bucket=b, Key="aborted", UploadId=up["UploadId"], PartNumber=1, Body=b"x")


def conditions():
    b = make("conditions")
    put = s3.put_object(Bucket=b, Key="k", Body=b"1", IfNoneMatch="*")
    fails("PreconditionFailed", s3.put_object, Bucket=b, Key="k", Body=b"2", IfNoneMatch="*")
    fails("PreconditionFailed", s3.put_object, Bucket=b, Key="k", Body=b"2", IfMatch='"0123"')
    s3.put_object(Bucket=b, Key="k", Body=b"2", IfMatch=put["ETag"])
    fails("PreconditionFailed", s3.get_object, Bucket=b, Key="k", IfMatch=put["ETag"])
    head = s3.head_object(Bucket=b, Key="k")
    unchanged = fails("304", s3.get_object, Bucket=b, Key="k", IfNoneMatch=head["ETag"])
    assert unchanged["ResponseMetadata"]["HTTPStatusCode"] == 304
    later = head["LastModified"] + datetime.timedelta(seconds=1)
    fails("304", s3.get_object, Bucket=b, Key="k", IfModifiedSince=later)
    fails("PreconditionFailed", s3.delete_object, Bucket=b, Key="k", IfMatch=put["ETag"])
    s3.delete_object(Bucket=b, Key="k", IfMatch=head["ETag"])


def curl(*words):
    return subprocess.run(["curl", "--silent", "--show-error", *words], capture_output=True, text=True, check=True).stdout


def presigned():
    b = make("presigned")
    for version in ("s3v4", "s3"):
        client = boto3.client("s3", endpoint_url=ENDPOINT, config=Config(signature_version=version))
        place = {"Bucket": b, "Key": "a b+ü/" + version}
        link = client.generate_presigned_url("put_object", {**place, "ContentType": "text/x"}, ExpiresIn=60)
        assert curl("--fail", "-X", "PUT", "-H", "Content-Type: text/x", "-d", "sent", link) == ""
        link = client.generate_presigned_url("get_object", {**place, "ResponseContentType": "text/y"}, ExpiresIn=60)
        assert curl("--fail", link) == "sent"
        assert "SignatureDoesNotMatch" in curl(link + "&response-expires=x" if version == "s3" else link[:-1] + "0x")
        form = client.generate_presigned_post(
            b, "form/${filename}", Fields={"success_action_status": "201", "Content-Type": "text/plain"},
            Conditions=[{"success_action_status": "201"}, ["content-length-range", 1, 100], ["starts-with", "$Content-Type", "text/"]],
        )
        with open("form.txt", "w") as file:
            file.write("by form " + version)
        fields = [word for field in form["fields"].items() for word in ("-F", "%s=%s" % field)]
        assert "<Key>form/form.txt</Key>" in curl(*fields, "-F", "file=@form.txt", form["url"])
        assert s3.get_object(Bucket=b, Key="form/form.txt")["Body"].read().decode() == "by form " + version
        with open("form.txt", "w") as file:
            file.write("x" * 101)
        assert "EntityTooLarge" in curl(*fields, "-F", "file=@form.txt", form["url"])


def settings():
    b = make("settings")
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::settings/public/*"}]}
    s3.delete_public_access_block(Bucket=b)
    s3.put_bucket_policy(Bucket=b, Policy=json.dumps(policy))
    assert json.loads(s3.get_bucket_policy(Bucket=b)["Policy"]) == policy
    assert s3.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"]
    s3.put_object(Bucket=b, Key="public/a", Body=b"open")
    assert curl("--fail", "%s/%s/public/a" % (ENDPOINT, b)) == "open"
    s3.delete_bucket_policy(Bucket=b)
    assert "AccessDenied" in curl("%s/%s/public/a" % (ENDPOINT, b))
    rules = [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}]
    s3.put_bucket_lifecycle_configuration(Bucket=b, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=b)["Rules"] == rules
    cors = [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 5}]
    s3.put_bucket_cors(Bucket=b, CORSConfiguration={"CORSRules": cors})
    assert s3.get_bucket_cors(Bucket=b)["CORSRules"] == cors
    assert s3.get_bucket_location(Bucket=b)["LocationConstraint"] is None
    owner = s3.get_bucket_acl(Bucket=b)
    assert owner["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert b in [each["Name"] for page in s3.get_paginator("list_buckets").paginate() for each in page["Buckets"]]
    locked = "settings-locked"
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    version = s3.put_object(Bucket=locked, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    fails("AccessDenied", s3.delete_object, Bucket=locked, Key="k", VersionId=version)
    s3.delete_object(Bucket=locked, Key="k", VersionId=version, BypassGovernanceRetention=True)


def encryption():
    b = make("encryption")
    key, other = os.urandom(32), os.urandom(32)
    own = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    source = {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}
    put = s3.put_object(Bucket=b, Key="own", Body=b"secret", **own)
    assert put["SSECustomerAlgorithm"] == "AES256" and put["ETag"] != '"%s"' % hashlib.md5(b"secret").hexdigest()
    assert s3.get_object(Bucket=b, Key="own", **own)["Body"].read() == b"secret"
    assert s3.head_object(Bucket=b, Key="own", **own)["ContentLength"] == 6
    fails("InvalidRequest", s3.get_object, Bucket=b, Key="own")
    fails("AccessDenied", s3.get_object, Bucket=b, Key="own", SSECustomerAlgorithm="AES256", SSECustomerKey=other)
    fails("400", s3.head_object, Bucket=b, Key="own")
    s3.copy_object(Bucket=b, Key="managed", CopySource={"Bucket": b, "Key": "own"}, ServerSideEncryption="AES256", **source)
    got = s3.get_object(Bucket=b, Key="managed")
    assert got["ServerSideEncryption"] == "AES256" and got["Body"].read() == b"secret"
    data = os.urandom(20 * MIB)
    config = TransferConfig(multipart_threshold=8 * MIB)
    for name, extra, down in (("large-own", own, own), ("large", {"ServerSideEncryption": "AES256"}, None)):
        s3.upload_fileobj(io.BytesIO(data), b, name, ExtraArgs=extra, Config=config)
        back = io.BytesIO()
        s3.download_fileobj(b, name, back, ExtraArgs=down, Config=config)
        assert back.getvalue() == data
    s3.copy({"Bucket": b, "Key": "large-own"}, b, "large-other", Config=config,
            ExtraArgs={**source, "SSECustomerAlgorithm": "AES256", "SSECustomerKey": other})
    got = s3.get_object(Bucket=b, Key="large-other", Range="bytes=9000000-9000099", SSECustomerAlgorithm="AES256", SSECustomerKey=other)
    assert got["Body"].read() == data[9000000:9000100]
    fails("ServerSideEncryptionConfigurationNotFoundError", s3.get_bucket_encryption, Bucket=b)
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    s3.put_bucket_encryption(Bucket=b, ServerSideEncryptionConfiguration={"Rules": rules})
    assert s3.get_bucket_encryption(Bucket=b)["ServerSideEncryptionConfiguration"]["Rules"] == rules
    assert s3.put_object(Bucket=b, Key="default", Body=b"x")["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=b)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=b, Key="plain", Body=b"x")
    fails("KMS.NotFoundException", s3.put_object, Bucket=b, Key="kms", Body=b"x", ServerSideEncryption="aws:kms")


def threads():
    from concurrent.futures import ThreadPoolExecutor

    b = make("threads")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: s3.put_object(Bucket=b, Key="k%d" % i, Body=b"%d" % i), range(200)))
        bodies = list(pool.map(lambda i: s3.get_object(Bucket=b, Key="k%d" % i)["Body"].read(), range(200)))
    assert bodies == [b"%d" % i for i in range(200)]
    boto3.resource("s3", endpoint_url=ENDPOINT).Bucket(b).objects.all().delete()
    s3.delete_bucket(Bucket=b)


globals()[sys.argv[1]]()
