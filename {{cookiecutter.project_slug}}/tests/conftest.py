"""Fixtures for every test. No other file of the tests names the package."""

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_hex
from subprocess import Popen
from threading import Thread
from time import monotonic, sleep
from types import ModuleType
from typing import Any

import flask
import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from werkzeug.serving import make_server

import {{ cookiecutter.package_name }} as _package


@pytest.fixture(autouse=True)
def unset_settings(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    example = (pytestconfig.rootpath / ".env.example").read_text()
    for name in re.findall("^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def package() -> ModuleType:
    """The package under test, for tests that have to start or to import it."""
    return _package


@pytest.fixture
def make_app() -> Callable[..., Flask]:
    """Make an application with other settings: ``make_app(LOG_LEVEL="debug")``."""

    def make(**config: Any) -> Flask:
        return _package.create_app({"APP_ENV": "testing"} | config)

    return make


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def live_server(app: Flask) -> Iterator[str]:
    """The URL of the application in this process, for what speaks HTTP; it answers one request at a time."""
    server = make_server("127.0.0.1", 0, app)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def production(make_app: Callable[..., Flask]) -> dict[str, str]:
    """Settings for production: a strong secret for each that its refusal to start without them names."""
    with pytest.raises(_package.env.ConfigError) as refusal:
        make_app(APP_ENV="production")
    names = re.findall(r"^  ([A-Z][A-Z0-9_]*):", str(refusal.value), re.MULTILINE)
    return {"APP_ENV": "production"} | {name: token_hex(32) for name in names}


@pytest.fixture
def port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def fetch(port: int) -> Callable[..., tuple[int, str]]:
    """Ask the server on ``port``, over a connection of its own: ``status, text = fetch("/")``."""

    def fetch(path: str, method: str = "GET", **rest: Any) -> tuple[int, str]:
        with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request(method, path, **rest)
            response = connection.getresponse()
            return response.status, response.read().decode()

    return fetch


@pytest.fixture
def serve(
    production: dict[str, str], port: int, fetch: Callable[..., tuple[int, str]], tmp_path: Path
) -> Iterator[Callable[..., Popen[bytes]]]:
    """Start the production server on ``port``, as a process of its own: ``serve(LOG_LEVEL="debug")``.

    What it logs is in ``server.log`` of ``tmp_path``.
    """
    with ExitStack() as servers:

        def start(*script: str, **env: str) -> Popen[bytes]:
            command = [sys.executable, *(script or ("-m", _package.__name__)), "serve"]
            # One worker: with more, one may still be starting when the first answers, and a stop waits for it.
            address = {"HOST": "127.0.0.1", "PORT": str(port)}
            env = os.environ | production | address | {"WEB_WORKERS": "1", "STOP_TIMEOUT": "5"} | env
            log = tmp_path / "server.log"
            with log.open("wb") as stderr:
                server = Popen(command, env=env, stderr=stderr)
            servers.callback(server.wait, timeout=40)
            servers.callback(server.terminate)
            deadline = monotonic() + 20
            while True:
                assert server.poll() is None, log.read_text()
                assert monotonic() < deadline, log.read_text()
                with suppress(OSError):
                    fetch("/livez")
                    return server
                sleep(0.05)

        yield start


@pytest.fixture(autouse=True)
def no_leaked_context() -> Iterator[None]:
    """Fail a test that leaves an application or request context behind."""
    _package.logs.request_id.set("")  # A response that the test before has not closed keeps its id.
    yield
    assert not flask.has_app_context(), "a context was pushed and not popped"
