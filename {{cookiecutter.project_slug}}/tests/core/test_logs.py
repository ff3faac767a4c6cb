import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from structlog.contextvars import bind_contextvars
from structlog.testing import capture_logs

Find = Callable[[str], dict[str, Any]]


@pytest.fixture
def find(capfd: pytest.CaptureFixture[str]) -> Find:
    """Find the last line of an event among those that were logged."""
    lines: list[dict[str, Any]] = []

    def find(event: str) -> dict[str, Any]:
        lines.extend(json.loads(line) for line in capfd.readouterr().err.splitlines())
        return next(line for line in reversed(lines) if line["event"] == event)

    return find


def test_request(client: FlaskClient, find: Find) -> None:
    client.get("/", headers={"X-Request-ID": "a-1"}).close()
    line = find("request")
    assert (line["method"], line["path"], line["status"], line["request_id"]) == ("GET", "/", 200, "a-1")
    assert line.keys() >= {"level", "timestamp", "ms", "client"}


@pytest.fixture
def logging_view(app: Flask) -> Flask:
    """Log in a request, in every way that structlog and logging know."""

    @app.get("/logging")
    def view() -> str:
        bind_contextvars(user=7)
        structlog.get_logger("shop").info("ours", order=7)
        logging.getLogger("library").warning("%d left", 3, extra={"shelf": "b"})
        structlog.get_logger().info("where", stack_info=True)
        return ""

    return app


def test_lines_of_a_request(logging_view: Flask, find: Find) -> None:
    logging_view.test_client().get("/logging", headers={"X-Request-ID": "a-1"}).close()
    lines = [find(event) for event in ("ours", "3 left", "where", "request")]
    assert [(line["request_id"], line["user"]) for line in lines] == [("a-1", 7)] * 4
    ours, theirs, where, _ = lines
    assert (ours["level"], ours["logger"], ours["order"]) == ("info", "shop", 7)
    assert (theirs["level"], theirs["logger"], theirs["shelf"]) == ("warning", "library", "b")
    assert "in view" in where["stack"]


def test_nothing_of_a_request_is_left_after_it(logging_view: Flask, find: Find) -> None:
    logging_view.test_client().get("/logging").close()
    structlog.get_logger().info("later")
    assert not {"request_id", "user"} & find("later").keys()


def test_what_tests_use_sees_the_lines(logging_view: Flask, caplog: pytest.LogCaptureFixture) -> None:
    logging_view.test_client().get("/logging").close()
    assert "ours" in caplog.text
    assert "3 left" in caplog.text
    with capture_logs() as logs:
        logging_view.test_client().get("/logging").close()
    assert [line["event"] for line in logs] == ["ours", "where"]


def test_nothing_confidential(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    client.set_cookie("session", "confidential")
    headers = {"Authorization": "Bearer confidential", "X-Api-Key": "confidential"}
    client.post("/livez?token=confidential", data="confidential", headers=headers).close()
    logged = capfd.readouterr().err
    assert "/livez" in logged
    assert "confidential" not in logged


def test_level(probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str]) -> None:
    probe(LOG_LEVEL="warning").test_client().get("/").close()
    logging.getLogger("library").info("quiet")
    structlog.get_logger().info("quiet")
    logging.getLogger("library").warning("loud")
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["loud"]


@pytest.mark.usefixtures("app")
def test_no_value_loses_a_line(find: Find) -> None:
    structlog.get_logger().info("odd", surrogate="\ud800", number=2**70, thing=set)
    odd = find("odd")
    assert (odd["surrogate"], odd["number"], odd["thing"]) == ("\ud800", 2**70, "<class 'set'>")


def test_exception_has_its_traceback(app: Flask, find: Find) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/bug", view_func=lambda: str(1 / 0))
    app.test_client().get("/bug").close()
    bug = find("Exception on /bug [GET]")
    assert bug["level"] == "error"
    assert "ZeroDivisionError" in bug["exception"]
    assert bug["request_id"] == find("request")["request_id"]


def test_console(probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str]) -> None:
    probe(LOG_FORMAT="console").test_client().get("/").close()
    logged = capfd.readouterr().err
    assert "request" in logged
    assert not logged.startswith("{")


def test_no_application_of_an_earlier_test_logs() -> None:
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    assert not any(isinstance(formatter, structlog.stdlib.ProcessorFormatter) for formatter in formatters)
