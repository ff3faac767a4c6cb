"""A server as a process: start it, pause it, take it away."""

import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from running import START_SECONDS, until


def missing(what: str, command: str) -> NoReturn:
    """Skip a test that needs something of the machine, and say how one gets it; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing: {command}")
    print(f"{what} is missing: {command}")
    pytest.skip(f"{what} is missing: {command}")


def listening(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def as_user(user: str) -> dict[str, object]:
    """Who may run a server: not root, if that is who runs the tests."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.getuid() == 0 else {}


def born(pid: int) -> str | None:
    """When a process was started, which tells it from a later one with its number; None if it has ended."""
    try:
        state, *values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "XZ" else values[18]


def tree(pid: int) -> list[int]:
    """A server and its children, which may be sessions of their own."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *map(int, children)]


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def pause(pids: list[int]) -> None:
    """Pause processes, and wait until all of their threads stand still: a signal does not wait for that."""

    def running() -> set[str]:
        threads = [path for pid in pids for path in Path("/proc").glob(f"{pid}/task/*/stat")]
        states = set[str]()
        for path in threads:
            with suppress(FileNotFoundError, ProcessLookupError):  # It has ended.
                states.add(path.read_text().rpartition(")")[2].split()[0])
        return states - {*"TXZ"}

    send(pids, signal.SIGSTOP)
    until(lambda: not running(), 5)


@dataclass
class Private:
    """A server of a test's own."""

    url: str
    port: int
    command: list[str]
    log: Path
    #: Who runs it, if it must not be root.
    user: str | None = None
    #: Whether what listens at its port also answers.
    ready: Callable[[int], bool] = listening
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it, or start it again with the data that it had."""
        user = as_user(self.user) if self.user else {}
        with self.log.open("ab") as log:
            # In a session of its own: Ctrl+C at a terminal ends the tests, which end the server.
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **user
            )

        try:
            until(lambda: self.process.poll() is not None or self.ready(self.port), START_SECONDS)
            assert self.process.poll() is None
        except AssertionError:
            self.stop()
            raise AssertionError(f"{self.command[0]} did not start:\n{self.log.read_text()}") from None

    def stop(self) -> None:
        """At once, by SIGKILL, as when a machine is taken away: what was acknowledged is on the disk."""
        send(self.pids(), signal.SIGKILL)
        self.process.wait(30)

    def pause(self) -> None:
        pause(self.pids())

    def resume(self) -> None:
        send(self.pids(), signal.SIGCONT)

    def pids(self) -> list[int]:
        """The server and its children; none if it does not run."""
        return tree(self.process.pid) if self.process.poll() is None else []


@contextmanager
def started(server: Private) -> Iterator[Private]:
    """Start a server, and stop it at the end, also one that a test has paused, or stopped itself."""
    server.start()
    try:
        yield server
    finally:
        server.stop()
