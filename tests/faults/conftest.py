"""A service in production for each server, with routes on which faults can be tried: ``with start(STOP_TIMEOUT="3")``."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loading import children, get, status
from manifest import MANIFEST
from running import clean_environment, free_port, until

SERVERS = MANIFEST["_answers"]["server"]
ROUTES = """
import logging, os, subprocess, sys, time
from pathlib import Path

import PACKAGE as package
from flask import Response, request
from flask.cli import FlaskGroup

make, MAIN = package.create_app, os.getpid()


def create_app(config=None):
    if os.environ.get("FAIL") == "worker" and os.getpid() != MAIN or os.environ.get("FAIL") == "start":
        raise RuntimeError("the reason of the failure")
    app = make(config)

    @app.get("/process")
    def process():
        time.sleep(0.02)
        return str(os.getpid())

    @app.get("/wait/<int:ms>")
    def wait(ms):
        time.sleep(ms / 1000)
        return str(ms)

    @app.post("/raw")
    def raw():
        return str(len(request.get_data()))

    @app.post("/form")
    def form():
        return str(len(request.form["a"]))

    @app.post("/json")
    def json():
        return str(len(request.get_json()))

    @app.get("/environ")
    def environ():
        return {name: str(value) for name, value in request.environ.items()}

    @app.get("/client")
    def client():
        return request.remote_addr

    @app.get("/endless")
    def endless():
        while True:
            yield "more\\n"
            time.sleep(0.05)

    @app.get("/breaks/<int:after>")
    def breaks(after):
        length = {"Content-Length": "1000"} if "length" in request.args else {}
        def pieces():
            yield from ["piece\\n"] * after
            raise RuntimeError("in the middle")
        return Response(pieces(), headers=length)

    @app.get("/exit")
    def leave():
        sys.exit(3)

    @app.get("/bug/<int:size>")
    def bug(size):
        logging.getLogger("trial").warning("before")
        raise RuntimeError("x" * size)

    return app


package.create_app = create_app

if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of one server run one after the other; ``make test`` runs those that are marked as short."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:  # All items come here.
            continue
        item.add_marker(pytest.mark.slow if item.get_closest_marker("short") else pytest.mark.faults)
        if (spec := getattr(item, "callspec", None)) and "kind" in spec.params:
            item.add_marker(pytest.mark.xdist_group(spec.params["kind"]))


@dataclass
class Running:
    """A server that runs: its main process, and what it has logged."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def workers(self) -> list[int]:
        return children(self.process.pid)

    def live(self) -> bool:
        with suppress(OSError):
            return status(get(self.port, "/livez", timeout=5)) == 200
        return False

    def answering(self) -> set[int]:
        """The workers that answer some requests at once: the others may still be making their applications."""
        with ThreadPoolExecutor(16) as pool:
            answers = pool.map(lambda _: get(self.port, "/process"), range(16))
            return {int(answer.rpartition(b"\n")[2]) for answer in answers}

    def end(self, seconds: float) -> float:
        """Send SIGTERM and return the seconds until the end."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)
        return time.monotonic() - begun


@dataclass
class Service:
    """A generated service, started by the interpreter that runs the tests."""

    kind: str
    script: Path
    package: str

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.script), "serve"]

    def environment(self, port: int, **settings: str) -> dict[str, str]:
        return clean_environment(
            PYTHONPATH=str(self.script.parent / "src"),
            SECRET_KEY=secrets.token_hex(32),
            HOST="127.0.0.1",
            PORT=str(port),
            **settings,
        )

    def spawn(self, log: Path, port: int, command: list[str] | None = None, **settings: str) -> Running:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command or self.command,
                env=self.environment(port, **settings),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return Running(process, port, log)


@pytest.fixture(scope="session", params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def service(kind: str, bake: Any) -> Service:
    baked = bake(server=kind, project_name=f"Faults of {kind}")
    package = baked.answers["package_name"]
    script = baked.path / "trial.py"
    script.write_text(ROUTES.replace("PACKAGE", package))
    return Service(kind, script, package)


@pytest.fixture
def start(service: Service, tmp_path: Path) -> Callable[..., Any]:
    """Start the server with two workers, wait until all of them answer, and leave nothing of it behind."""

    @contextmanager
    def start(**settings: str) -> Iterator[Running]:
        settings = {"WEB_CONCURRENCY": "2"} | settings
        server = service.spawn(tmp_path / "log", free_port(), **settings)
        try:
            until(server.live, 30)
            until(lambda: len(server.workers()) == int(settings["WEB_CONCURRENCY"]), 10)
            until(lambda: server.answering() == set(server.workers()), 30)
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(10)

    return start
