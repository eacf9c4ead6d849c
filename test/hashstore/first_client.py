"""The first client of the hash-placed data servers, written anew for Python 3 from the description of it.

first_client.py write PATH... | fetch PATH... | both PATH...    servers are in machineconf.txt, here; what is fetched goes here, too.
It closes a connection right behind the last byte, and never hears whether a file was stored.
"""
import hashlib
import socket
import sys

BLOCK = 4096


class Configuration:
    def __init__(self, path="machineconf.txt"):
        with open(path) as lines:
            self.machines = [line.rstrip().split(",") for line in lines]

    def machine_of(self, src):
        number = int(hashlib.md5(src.encode()).hexdigest()[-4:], 16)
        host, port = self.machines[number % len(self.machines)]
        return host, int(port)


class Client:
    def __init__(self):
        self.configuration = Configuration()

    def ask(self, word, src):
        connection = socket.create_connection(self.configuration.machine_of(src))
        name = src.encode()
        connection.sendall(b"%s,%04d" % (word, len(name)))
        answer = connection.recv(1024)
        if not answer.startswith(b"OK"):
            sys.exit("the server does not say OK: %r" % answer)
        connection.sendall(name)
        return connection

    def write(self, src):
        with open(src, "rb") as file, self.ask(b"WRITFILE", src) as connection:
            while data := file.read(BLOCK):
                while data:
                    data = data[connection.send(data):]

    def fetch(self, src):
        with self.ask(b"FETCFILE", src) as connection, open(src[src.rindex("\\") + 1:], "wb") as file:
            while data := connection.recv(1024):
                file.write(data)


if __name__ == "__main__":
    client = Client()
    for path in sys.argv[2:]:
        if sys.argv[1] != "fetch":
            client.write(path)
        if sys.argv[1] != "write":
            client.fetch(path)
