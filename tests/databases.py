"""Database servers: those that run on this machine, and private ones that may be stopped, paused and restarted."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from running import free_port

#: Where the machines that run these tests have their servers.
SERVERS = {
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://root@127.0.0.1:5432/test"),
    "mysql": os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test"),
}
#: The packages of Debian that have them.
PACKAGES = {"postgresql": "postgresql", "mysql": "mariadb-server"}
PASSWORD = "right-and-proper"


def missing(what: str, command: str) -> NoReturn:
    """Skip a test that needs something of the machine, and say how one gets it; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing: {command}")
    print(f"{what} is missing: {command}")
    pytest.skip(f"{what} is missing: {command}")


def need(engine: str) -> str:
    """The URL of the server of this machine, if it runs."""
    url = SERVERS[engine]
    address = re.search(r"@([^/:]+):(\d+)/", url)
    assert address, url
    if not listening(int(address[2]), address[1]):
        service = {"postgresql": "postgresql", "mysql": "mariadb"}[engine]
        start = f"apt-get install {PACKAGES[engine]} && service {service} start, or set TEST_{engine.upper()}_URL"
        missing(f"a server at {url}", start)
    return url


def listening(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


@dataclass
class Private:
    """A database server of a test's own."""

    url: str
    port: int
    command: list[str]
    user: str
    log: Path
    #: A command that succeeds when the server takes connections, if it listens before.
    ready: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, **as_user(self.user))  # type: ignore[call-overload]
        deadline = time.monotonic() + 30
        while not self.takes_connections():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def takes_connections(self) -> bool:
        return listening(self.port) and not (self.ready and subprocess.run(self.ready, check=False).returncode)

    def stop(self) -> None:
        """At once, as when a machine is taken away: what was committed is on the disk."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self.process.wait(30)

    def pause(self) -> None:
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.pids():
            os.kill(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """The server and its children, which are sessions of their own."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]


def as_user(user: str) -> dict[str, object]:
    """Who may run a server: not root, if that is who runs the tests."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.getuid() == 0 else {}


def run(user: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **as_user(user))  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def private(engine: str) -> Iterator[Private]:
    """Make a server with a database, and remove both at the end."""
    user = {"postgresql": "postgres", "mysql": "mysql"}[engine]
    programs = {
        "postgresql": ("initdb", "postgres", "pg_isready"),
        "mysql": ("mariadb-install-db", "mariadbd", "mariadb"),
    }[engine]
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
    found = [shutil.which(program, path=path) for program in programs]
    if None in found:
        missing(f"what a private {engine} server needs", f"apt-get install {PACKAGES[engine]}")
    folder = Path(tempfile.mkdtemp(prefix=f"private-{engine}-"))
    data, port = folder / "data", free_port()
    if os.getuid() == 0:
        shutil.chown(folder, user)
    install, serve, client = map(str, found)
    ready = []
    if engine == "postgresql":
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        options = ["--auth-host=scram-sha-256", "--auth-local=reject", f"--pwfile={folder / 'password'}", "--no-sync"]
        run(user, install, "-D", str(data), "-U", "owner", *options)
        command = [serve, "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
        url = f"postgresql://owner:{PASSWORD}@127.0.0.1:{port}/postgres"
        # While it starts, it refuses whoever connects.
        ready = [client, "--quiet", "--host=127.0.0.1", f"--port={port}"]
    else:
        run(user, install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
        bootstrap = f"CREATE USER owner@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; "
        bootstrap += "GRANT ALL ON *.* TO owner@'127.0.0.1' WITH GRANT OPTION;"
        command = [serve, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1"]
        command += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", "--skip-name-resolve"]
        url = f"mysql://owner:{PASSWORD}@127.0.0.1:{port}/test"
    server = Private(url, port, command, user, folder / "log", ready)
    server.log.touch()
    server.start()
    try:
        if engine == "mysql":
            run(user, client, "--no-defaults", f"--socket={folder / 'socket'}", "-uroot", "-e", bootstrap)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
