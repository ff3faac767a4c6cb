"""A generated service, run for real: its environment, its server, requests to it."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from manifest import OPTIONS

BIN = Path(sys.executable).parent
#: For a module of a service. On a machine that is busy with tests, Redis may take longer than a request waits for it.
PATIENT = """
import os

from ..extensions.ephemeral import redis as ephemeral

ephemeral.PATIENCE = float(os.environ.get("PATIENCE", ephemeral.PATIENCE))
"""
START_SECONDS = 60
#: Of a command that installs what it starts.
INSTALL_SECONDS = 300
LOG_SECONDS = 30
#: By how much a busy machine may exceed a time-out.
SLACK_SECONDS = 1.5
#: What belongs to the machine and its network, and not to any service.
MACHINE = re.compile(r"HOME|LANG|PATH|TMPDIR|(MYPY|PIP|PYENV|SSL|UV)_\w+|\w*(CA_BUNDLE|_proxy|_PROXY)")


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment of a new user: uv at hand, nothing set for services, no make that runs this."""
    kept = {name: value for name, value in os.environ.items() if MACHINE.fullmatch(name)}
    return kept | {"PATH": f"{BIN}:{os.environ['PATH']}"} | variables


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run a command to its end and return what it printed; a status other than 0 is an error that shows it."""
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def add(service: Path, routes: str) -> None:
    """Add, once, to the module of the main blueprint of a service."""
    (module,) = service.glob("src/*/blueprints/main.py")
    if routes not in module.read_text():
        module.write_text(module.read_text() + routes)


def prepare(service: Path, routes: str = "") -> None:
    """Make the environment of a service, and add to its main blueprint."""
    add(service, routes)
    run(service, "make", "--silent", ".venv/ready")


@cache
def set_up(service: Path) -> None:
    """Write what the first ``make`` of a service writes, such as its first migration: once for each service."""
    run(service, "make", "--silent", "test", "ARGS=--version")


def required_names(folder: Path) -> list[str]:
    """The settings without which production does not start, as the README of the service tells."""
    return re.findall(r"^export (\w+)=", (folder / "README.md").read_text(), re.MULTILINE)


def required_settings(folder: Path) -> dict[str, str]:
    """What production asks for: strong secrets, what the manifest says to try, and addresses of servers that run."""
    # Imported here, because servers are processes, too.
    from servers.addresses import of_shared

    names = required_names(folder)
    settings = [setting for option in OPTIONS.values() for setting in option.get("settings", [])]
    # Options may have a setting of one name, of which the README tells that of the chosen one.
    told = (folder / "README.md").read_text()
    trials = {
        setting["name"]: setting["trial"]
        for setting in settings
        if "trial" in setting and f"export {setting['name']}={setting.get('required')}" in told
    }
    return {name: trials.get(name) or secrets.token_hex(32) for name in names} | of_shared(names)


def bearer(folder: Path, *scopes: str, **settings: str) -> dict[str, str]:
    """Make a token of a service, and return the header that sends it: for all scopes unless some are named."""
    (package,) = (folder / "src").glob("*/")
    sources = "".join(path.read_text() for path in package.glob("blueprints/**/*.py"))
    asked = scopes or sorted({*re.findall(r'scopes=\["([\w:]+)"\]', sources)})
    options = [word for scope in asked for word in ("--scope", scope)]
    printed = run(folder, ".venv/bin/python", "-m", package.name, "tokens", "make", "trial", *options, **settings)
    token, *_ = re.findall(rf"{package.name}_[\w-]{{43}}", printed)
    return {"Authorization": f"Bearer {token}"}


#: Ports that this process has given away: a server that is stopped for a while gets its own again.
GIVEN: set[int] = set()


def own_ports() -> range:
    """Ports that no other worker of pytest gives away, nor the tests of services, which have those from 22,000 on.

    A server that is told its port takes it seconds later, in which somebody else could be told the same.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % workers
    count = 12_000 // workers
    return range(10_000 + number * count, 10_000 + (number + 1) * count)


def free_port(count: int = 1) -> int:
    """The first of so many ports in a row that are free, and stay so until a server of this process takes them."""
    mine = own_ports()
    for _ in range(1000):
        first = mine[secrets.randbelow(len(mine) - count + 1)]
        wanted = range(first, first + count)
        if GIVEN.isdisjoint(wanted) and all(map(is_free, wanted)):
            GIVEN.update(wanted)
            return first
    raise AssertionError(f"no {count} ports in a row are free in {mine}")


def is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def until(condition: Callable[[], object], seconds: float, what: str = "this") -> float:
    """Wait for a condition, and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - started


@dataclass
class Server:
    """A running service."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        """Send a request and return the status and the body."""
        request = Request(self.url + path, method=method, headers=headers)
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except HTTPError as error:
            return error.code, error.read()

    def get_many(self, path: str, count: int, at_once: int = 8) -> list[int]:
        """Send requests from several threads and return their statuses."""
        with ThreadPoolExecutor(at_once) as pool:
            return [status for status, _ in pool.map(lambda _: self.get(path), range(count))]

    def await_ready(self) -> None:
        """Wait until each worker is likely to be ready: one that has yet to connect says 503 on a busy machine."""
        until(lambda: self.get_many("/readyz", 20) == [200] * 20, START_SECONDS)

    def await_requests(self, count: int) -> None:
        """Wait until so many requests, probes included, are in the log: a large answer is logged when it has been sent."""
        until(lambda: self.log.read_bytes().count(b'"event":"request"') >= count, LOG_SECONDS)

    def count(self, event: str) -> int:
        """How often an event is in the log."""
        return sum(line["event"] == event for line in self.log_lines())

    def log_lines(self) -> list[dict[str, object]]:
        # As bytes: in a text, a path with U+2028 or U+0085 in it would end a line, which to JSON it does not.
        return [json.loads(line) for line in self.log.read_bytes().splitlines()]


@contextmanager
def serving(
    folder: Path, log: Path, command: list[str], within: float = START_SECONDS, **variables: str
) -> Iterator[Server]:
    """Start a server on a free port, wait until it answers, and stop it as an orchestrator would.

    :param within: seconds that it may take.
    """
    port = free_port()
    environment = clean_environment(HOST="127.0.0.1", PORT=str(port), **variables)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        _wait_until_live(server, within)
        yield server
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        with suppress(ProcessLookupError):  # Whoever of its processes is left.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def in_production(folder: Path, log: Path, **variables: str) -> AbstractContextManager[Server]:
    """Start a service as production does, on the libraries of these tests."""
    (package,) = (folder / "src").glob("*/")
    settings = required_settings(folder) | {"PYTHONPATH": str(package.parent)} | variables
    return serving(folder, log, [sys.executable, "-m", package.name, "serve"], **settings)


def _wait_until_live(server: Server, within: float) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if server.get("/livez")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{server.log.read_text()}")
