"""A plugin of pytest: ``shared_server("cassandra")`` is one server for all tests of a run, in whichever process.

The first process that asks starts it, and writes down what the others need to know. The process that starts the workers
of pytest-xdist, or the only one, stops it at the end.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from running import free_port, until

from .processes import Private, born, send, tree
from .stores import SERVERS, Given, given

#: A folder a run, by the number of its process, and one for what developers start.
FOLDERS = Path(os.environ.get("SERVERS_FOLDERS") or Path(__file__).parents[2] / "build/servers")
#: In the environment of workers: the folder of their run.
VARIABLE = "SHARED_SERVERS"
#: What this process has started: Python warns of a process that is forgotten while it runs.
STARTED: list[Private] = []


@dataclass
class Shared:
    """A server that runs until ``stop``, whoever has started it."""

    url: str
    port: int
    pid: int
    born: str | None

    @property
    def runs(self) -> bool:
        return self.born is not None and born(self.pid) == self.born


def known(file: Path) -> Shared | None:
    """The server that is written down in a file, if it runs."""
    server = Shared(**json.loads(file.read_text())) if file.exists() else None
    return server if server and server.runs else None


def start(name: str, folder: Path, port: int | None = None) -> Shared | Given:
    """Start a server with its data in a folder, unless it runs already."""
    if there := given(name):
        return there
    data, file = folder / name, folder / f"{name}.json"
    data.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not (server := known(file)):
            private = SERVERS[name](data, port or free_port())
            private.start()
            STARTED.append(private)
            server = Shared(private.url, private.port, private.process.pid, born(private.process.pid))
            file.write_text(json.dumps(asdict(server)))
    return server


def stop(name: str, folder: Path) -> bool:
    """Stop a server; whether it ran. Its data stay in the folder."""
    if not (server := known(folder / f"{name}.json")):
        return False
    send(tree(server.pid), signal.SIGKILL)
    until(lambda: not server.runs, 30)
    return True


def clean(folder: Path) -> None:
    """End a run: stop its servers, and remove their data."""
    for name in SERVERS:
        stop(name, folder)
    shutil.rmtree(folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    for folder in FOLDERS.glob("[0-9]*"):
        if not Path("/proc", folder.name).exists():  # A run that was killed has left them.
            clean(folder)
    os.environ[VARIABLE] = str(FOLDERS / str(os.getpid()))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        clean(Path(os.environ.pop(VARIABLE)))


@pytest.fixture(scope="session")
def shared_server() -> Callable[[str], Shared | Given]:
    """The server of all tests of this run: take a keyspace, an access key or a database of your own in it."""
    return lambda name: start(name, Path(os.environ[VARIABLE]))
