"""Libraries of Python with S3 of their own: Apache Libcloud, which signs by itself, and s3fs, by which pandas, Dask and others open files. ENDPOINT is the server."""
import io
import os
import sys
import urllib.request
from urllib.parse import urlsplit

MIB = 1024 * 1024
KEY = "a b/x+ü"
data = os.urandom(12 * MIB)


def libcloud():
    from libcloud.storage.drivers.s3 import BaseS3StorageDriver, S3SignatureV4Connection
    from libcloud.storage.types import ContainerIsNotEmptyError, ObjectDoesNotExistError

    endpoint = urlsplit(os.environ["ENDPOINT"])

    class Connection(S3SignatureV4Connection):
        host = endpoint.hostname

    class Driver(BaseS3StorageDriver):
        name = "Cairn"
        connectionCls = Connection
        region_name = "us-east-1"

    driver = Driver(
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        secure=False,
        host=endpoint.hostname,
        port=endpoint.port,
        region="us-east-1",
    )
    container = driver.create_container("libcloud")
    assert "libcloud" in [each.name for each in driver.list_containers()]
    driver.upload_object_via_stream(io.BytesIO(b"hello"), container, KEY, extra={"meta_data": {"who": "me"}})
    got = driver.get_object("libcloud", KEY)
    assert got.size == 5 and got.meta_data["who"] == "me", got.meta_data
    assert b"".join(got.as_stream()) == b"hello"
    driver.upload_object_via_stream(iter([data[: 7 * MIB], data[7 * MIB :]]), container, "large")
    assert b"".join(driver.get_object("libcloud", "large").as_stream()) == data
    assert b"".join(driver.download_object_range_as_stream(got, 1, 3)) == b"el"
    assert [each.name for each in container.list_objects(prefix="a b/")] == [KEY]
    try:
        driver.delete_container(container)
        raise AssertionError("it is not empty")
    except ContainerIsNotEmptyError:
        pass
    for each in container.list_objects():
        assert each.delete()
    try:
        driver.get_object("libcloud", KEY)
        raise AssertionError("it was deleted")
    except ObjectDoesNotExistError:
        pass
    assert driver.delete_container(container)


def s3fs():
    import s3fs as library

    fs = library.S3FileSystem(endpoint_url=os.environ["ENDPOINT"])
    fs.mkdir("s3fs")
    fs.pipe(f"s3fs/{KEY}", b"hello")
    assert fs.cat(f"s3fs/{KEY}") == b"hello"
    with fs.open("s3fs/large", "wb", block_size=5 * MIB) as file:
        for at in range(0, len(data), MIB):
            file.write(data[at : at + MIB])
    with fs.open("s3fs/large", "rb", block_size=MIB) as file:
        file.seek(7 * MIB + 3)
        assert file.read(1000) == data[7 * MIB + 3 :][:1000]
        file.seek(0)
        assert file.read() == data
    with fs.open(f"s3fs/{KEY}", "ab") as file:
        file.write(b" again")
    assert fs.cat(f"s3fs/{KEY}") == b"hello again"
    assert fs.find("s3fs") == [f"s3fs/{KEY}", "s3fs/large"]
    assert sorted(each["name"] for each in fs.ls("s3fs", detail=True)) == ["s3fs/a b", "s3fs/large"]
    fs.copy("s3fs/large", "s3fs/copied")
    fs.mv("s3fs/copied", "s3fs/moved")
    assert fs.info("s3fs/moved")["size"] == len(data) and not fs.exists("s3fs/copied")
    fs.setxattr("s3fs/moved", who="me")
    assert fs.getxattr("s3fs/moved", "who") == "me"
    assert urllib.request.urlopen(fs.url(f"s3fs/{KEY}"), timeout=20).read() == b"hello again"
    fs.rm("s3fs", recursive=True)
    assert not fs.exists("s3fs")


globals()[sys.argv[1]]()
