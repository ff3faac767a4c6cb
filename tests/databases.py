"""Database servers: those that run on this machine, and private ones that may be stopped, paused and restarted."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from running import free_port
from servers.processes import Private, as_user, listening, missing, started

#: Where the machines that run these tests have their servers.
SERVERS = {
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://root@127.0.0.1:5432/test"),
    "mysql": os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test"),
}
#: The packages of Debian that have them.
PACKAGES = {"postgresql": "postgresql", "mysql": "mariadb-server"}
PASSWORD = "right-and-proper"


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
    if engine == "postgresql":
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        options = ["--auth-host=scram-sha-256", "--auth-local=reject", f"--pwfile={folder / 'password'}", "--no-sync"]
        run(user, install, "-D", str(data), "-U", "owner", *options)
        command = [serve, "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
        url = f"postgresql://owner:{PASSWORD}@127.0.0.1:{port}/postgres"
    else:
        run(user, install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
        bootstrap = f"CREATE USER owner@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; "
        bootstrap += "GRANT ALL ON *.* TO owner@'127.0.0.1' WITH GRANT OPTION;"
        command = [serve, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1"]
        command += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", "--skip-name-resolve"]
        url = f"mysql://owner:{PASSWORD}@127.0.0.1:{port}/test"

    def ready(port: int) -> bool:
        """PostgreSQL listens while it still starts, and refuses whoever connects; MariaDB makes its socket after that."""
        if engine == "mysql":
            return listening(port) and (folder / "socket").exists()
        command = [client, "--quiet", "--host=127.0.0.1", f"--port={port}"]
        return listening(port) and subprocess.run(command, check=False).returncode == 0

    try:
        with started(Private(url, port, command, folder / "log", user, ready)) as server:
            if engine == "mysql":
                run(user, client, "--no-defaults", f"--socket={folder / 'socket'}", "-uroot", "-e", bootstrap)
            yield server
    finally:
        shutil.rmtree(folder)
