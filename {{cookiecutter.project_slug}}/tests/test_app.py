"""The application as a whole, whatever its routes are: these tests ask ``/livez`` alone."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from subprocess import Popen
from threading import Barrier
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest
import structlog
from flask import Flask, url_for
from structlog.testing import capture_logs
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client


def test_two_apps_side_by_side(make_app: Callable[..., Flask]) -> None:
    small, large = make_app(MAX_CONTENT_LENGTH=10), make_app(MAX_CONTENT_LENGTH=20)
    assert small.config["MAX_CONTENT_LENGTH"] == 10
    assert large.config["MAX_CONTENT_LENGTH"] == 20
    assert small.secret_key != large.secret_key
    assert small.test_client().get("/livez").status_code == large.test_client().get("/livez").status_code == 200


def test_mounted_under_a_prefix(app: Flask) -> None:
    client = Client(DispatcherMiddleware(NotFound(), {"/prefix": app}))
    assert client.get("/prefix/livez").status_code == 200
    assert client.get("/livez").status_code == 404
    with app.test_request_context(base_url="http://localhost/prefix/"):
        assert url_for("health.livez") == "/prefix/livez"


def test_settings_of_flask_pass(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSION_COOKIE_SAMESITE="Strict", TESTING=False, ANYTHING=[1, 2])
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Strict"
    assert not app.testing
    assert app.config["ANYTHING"] == [1, 2]


def test_requests_at_the_same_time(app: Flask, live_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    both, inner = Barrier(2, timeout=10), app.wsgi_app

    def wait_for_the_other(*request: Any) -> Any:
        both.wait()
        return inner(*request)

    def ask(path: str) -> int:
        with urlopen(live_server + path, timeout=20) as response:  # noqa: S310
            return int(response.status)

    monkeypatch.setattr(app, "wsgi_app", wait_for_the_other)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(ask, ["/livez", "/livez"])) == [200, 200]


@pytest.mark.usefixtures("app")
def test_log_lines_are_seen(caplog: pytest.LogCaptureFixture) -> None:
    """``caplog`` sees lines of ``logging`` and of structlog; ``capture_logs`` sees those of structlog."""
    structlog.get_logger().warning("order_paid", order=7)
    logging.getLogger("orders").warning("order %s is late", 8)
    assert "order_paid" in caplog.text
    assert "order 8 is late" in caplog.text
    with capture_logs() as lines:
        structlog.get_logger().warning("order_paid", order=9)
    assert {"event": "order_paid", "order": 9, "log_level": "warning"} in lines


def test_the_module_for_servers(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "testing")
    app = import_module(f"{package.__name__}.wsgi").app
    assert app.test_client().get("/livez").status_code == 200


def test_the_production_server(serve: Callable[..., Popen[bytes]], fetch: Callable[..., tuple[int, str]]) -> None:
    """It starts with settings for production, answers and stops: the one test that starts the server."""
    server = serve()
    assert fetch("/livez")[0] == 200
    server.terminate()
    assert server.wait(timeout=30) == 0
