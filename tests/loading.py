"""Clients that count what they send: for tests of servers under faults."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

#: Seconds before a signal: what was sent then, and not in the moment of the signal, has to be answered.
BEFORE = 0.005
CLOSE = b"Connection: close\r\n"


def connect(port: int, timeout: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def request(path: str, method: str = "GET", headers: bytes = b"", body: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + headers + b"\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """A body in chunks, without the one that ends it."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes, or resets, the connection."""
    received = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
    return received


def send(port: int, message: bytes, timeout: float = 20) -> bytes:
    """Send a request that is the last on its connection, and return all that comes back."""
    with connect(port, timeout) as connection:
        connection.sendall(message)
        return read_all(connection)


def get(port: int, path: str, headers: bytes = b"", timeout: float = 20) -> bytes:
    return send(port, request(path, headers=CLOSE + headers), timeout)


def status(answer: bytes) -> int:
    """The status of an answer; 0 if there was none."""
    return int(answer[9:12]) if answer else 0


def read_answer(connection: socket.socket) -> bytes:
    """Read an answer that tells its length."""
    received = b""
    while not (head := re.match(rb"(?s).*?\r\n\r\n", received)):
        if not (piece := connection.recv(65536)):
            raise ConnectionResetError("closed")
        received += piece
    length = re.search(rb"(?i)content-length: (\d+)", head[0])
    assert length, head[0]
    while len(received) < head.end() + int(length[1]):
        if not (piece := connection.recv(65536)):
            raise ConnectionResetError("closed in the middle")
        received += piece
    return received


@dataclass
class Load:
    """Clients that keep their connections, send one request after the other, and note what became of it."""

    port: int
    path: str
    clients: int
    #: When each was sent whole, and when it was answered.
    answered: list[tuple[float, float]] = field(default_factory=list)
    #: When each that was not answered was sent, and whether it was the first on its connection.
    failed: list[tuple[float, bool]] = field(default_factory=list)
    stop: Event = field(default_factory=Event)

    def client(self) -> None:
        message = request(self.path)
        while not self.stop.is_set():
            with suppress(OSError), connect(self.port) as connection:
                first = True
                while not self.stop.is_set():
                    connection.sendall(message)
                    sent = time.monotonic()
                    try:
                        answer = read_answer(connection)
                    except OSError:
                        self.failed.append((sent, first))
                        break
                    self.answered.append((sent, time.monotonic()))
                    first = False
                    if b"connection: close" in answer.lower():
                        break
            time.sleep(0.02)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        threads = [Thread(target=self.client) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(30)

    def lost_before(self, moment: float) -> int:
        """How many were sent well before a moment and never answered."""
        return sum(sent < moment - BEFORE for sent, _ in self.failed)

    def lost_after(self, moment: float, first: bool) -> int:
        """How many were sent later and not answered: on new connections, or on kept ones that were being closed."""
        return sum(sent >= moment - BEFORE and first is new for sent, new in self.failed)


def processes() -> dict[int, tuple[int, str]]:
    """All processes: their parents and states."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            found[int(path.parent.name)] = (int(parent), state)
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live."""
    return [child for child, (parent, state) in processes().items() if parent == pid and state != "Z"]


def zombies(pid: int) -> list[int]:
    return [child for child, (parent, state) in processes().items() if parent == pid and state == "Z"]


def resident(pid: int) -> int:
    """MiB of memory that a process occupies."""
    size = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(size[1]) // 1024 if size else 0


def cpu_seconds(pid: int) -> float:
    """The time that a process has computed."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
