"""pymemcache on a node of ours: HOST PORT."""
import sys

from pymemcache.client.base import Client, PooledClient
from pymemcache.exceptions import MemcacheServerError
from pymemcache.serde import PickleSerde

address = (sys.argv[1], int(sys.argv[2]))
client = Client(address, connect_timeout=10, timeout=20, no_delay=True, default_noreply=False)


def same(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r} instead of {wanted!r}")


same(client.set("one", b"1"), True)
same(client.get("one"), b"1")
same(client.add("one", b"x"), False)
same(client.add("two", b"2"), True)
same(client.replace("none", b"x"), False)
same(client.append("two", b"3"), True)
same(client.prepend("two", b"1"), True)
same(client.incr("two", 7), 130)
same(client.decr("two", 200), 0)
same(client.touch("two", expire=100), True)
value, unique = client.gets("one")
same(client.cas("one", b"new", unique), True)
same(client.cas("one", b"newer", unique), False)
same(client.cas("none", b"x", b"1"), None)
many = {f"many.{at}": b"v" * at for at in range(300)}
same(client.set_many(many), [])
same(client.get_many(list(many) + ["missing"]), many)
same(client.delete_many(list(many)), True)
same(client.get_many(list(many)), {})
large = bytes(range(256)) * 4096
same(client.set("large", large), True)
same(client.get("large"), large)
same(client.delete("large"), True)
same(client.delete("large"), False)
same(client.set("gone", b"x", expire=-1), True)
same(client.get("gone"), None)
try:
    client.set("too large", b"x" * 5_000_000)
    raise AssertionError("a value of 5 MB was taken")
except Exception as error:
    same(isinstance(error, AssertionError), False)
try:
    client.set("large", b"x" * 5_000_000)
    raise AssertionError("a value of 5 MB was taken")
except MemcacheServerError:
    pass
same(client.get("one"), b"new")
same(client.stats()[b"version"].startswith(b"1."), True)
same(client.version().startswith(b"1."), True)
unicode = Client(address, allow_unicode_keys=True, encoding="utf-8", default_noreply=True)
unicode.set("grüße 文件".replace(" ", "_"), b"unicode")
same(unicode.get("grüße_文件"), b"unicode")
pooled = PooledClient(address, max_pool_size=4, serde=PickleSerde())
pooled.set("object", {"a": [1, 2, 3]})
same(pooled.get("object"), {"a": [1, 2, 3]})
print("ok")
