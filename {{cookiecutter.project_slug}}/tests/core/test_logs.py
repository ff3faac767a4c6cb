import json
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock, Thread
from time import sleep
from types import ModuleType
from typing import Any

import pytest
import structlog
from flask import Flask, Response
from flask.testing import FlaskClient

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Read what was logged since the last time."""
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_request(lines: Lines, client: FlaskClient) -> None:
    client.get("/", headers={"X-Request-ID": "a-1"}).close()
    (line,) = lines()
    assert line.keys() == {"event", "level", "timestamp", "request_id", "method", "path", "status", "ms", "client"}
    assert line["event"] == "request"
    assert line["request_id"] == "a-1"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/", 200)


def test_lines_of_a_request_bear_its_id(lines: Lines, app: Flask) -> None:
    @app.get("/logging")
    def view() -> Response:
        structlog.get_logger().info("ours", order=7)
        logging.getLogger("library").warning("%d left", 3)
        return Response()

    app.test_client().get("/logging", headers={"X-Request-ID": "a-1"}).close()
    ours, theirs, _ = logged = lines()
    assert {line["request_id"] for line in logged} == {"a-1"}
    assert (ours["event"], ours["level"], ours["order"]) == ("ours", "info", 7)
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("3 left", "warning", "library")


@pytest.mark.usefixtures("app")
def test_no_id_outside_of_requests(lines: Lines) -> None:
    structlog.get_logger().info("started")
    assert "request_id" not in lines()[-1]


def test_nothing_confidential(capsys: pytest.CaptureFixture[str], client: FlaskClient) -> None:
    client.set_cookie("session", "confidential")
    headers = {"Authorization": "Bearer confidential", "X-Api-Key": "confidential"}
    client.post("/livez?token=confidential", data="confidential", headers=headers).close()
    logged = capsys.readouterr().err
    assert '"path":"/livez"' in logged
    assert "confidential" not in logged


def test_level(lines: Lines, make_app: Callable[..., Flask]) -> None:
    make_app(LOG_LEVEL="warning").test_client().get("/").close()
    logging.getLogger("library").info("quiet")
    logging.getLogger("library").warning("loud")
    assert [line["event"] for line in lines()] == ["loud"]


@pytest.mark.usefixtures("app")
def test_no_value_loses_a_line(lines: Lines) -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    structlog.get_logger().info("odd", surrogate="\ud800", number=2**70, thing={1, 2}.__class__)
    structlog.get_logger().info("cyclic", value=cycle)
    odd, cyclic = lines()
    assert (odd["surrogate"], odd["number"], odd["thing"]) == ("\ud800", 2**70, "<class 'set'>")
    assert cyclic["value"] == "[[...]]"


def test_a_line_is_one_line_to_every_reader(lines: Lines, client: FlaskClient) -> None:
    client.get("/a\x85b\u2028c\x9bd\u00e9").close()
    (line,) = lines()
    assert line["path"] == "/a\x85b\u2028c\x9bd\u00e9"


def test_exception_has_its_traceback(lines: Lines, make_app: Callable[..., Flask]) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/bug", view_func=lambda: str(1 / 0))
    app.test_client().get("/bug").close()
    bug, request = lines()
    assert bug["level"] == "error"
    assert "ZeroDivisionError" in bug["exception"]
    assert bug["request_id"] == request["request_id"]
    assert request["status"] == 500


def test_no_reader_no_failure(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert client.get("/").status_code == 200


@pytest.mark.usefixtures("app")
def test_a_long_line_waits_for_no_reader_that_has_gone(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package.logs, "LONG_LINES", Lock())
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    os.close(reader)
    stderr = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stderr", stderr)
    thread = Thread(target=structlog.get_logger().info, args=["long"], kwargs={"text": "x" * 6000}, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    with suppress(BrokenPipeError):
        stderr.close()


@pytest.mark.usefixtures("app")
def test_long_lines_go_through_a_pipe_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait while it is half full, because only what fits in at once is not divided."""
    reader, writer = os.pipe()
    received: list[bytes] = []
    with os.fdopen(reader, "rb") as lines, os.fdopen(writer, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with ThreadPoolExecutor(4) as pool:
            for number in range(100):
                pool.submit(structlog.get_logger().info, "long", number=number, text="x" * 6000)
            sleep(0.1)
            thread = Thread(target=lambda: received.extend(lines))
            thread.start()
        stderr.close()
        thread.join()
    assert sorted(json.loads(line)["number"] for line in received) == list(range(100))


def test_console(capsys: pytest.CaptureFixture[str], make_app: Callable[..., Flask]) -> None:
    make_app(LOG_FORMAT="console").test_client().get("/").close()
    logged = capsys.readouterr().err
    assert "request" in logged
    assert not logged.startswith("{")
