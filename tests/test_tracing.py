"""Traces, from a caller through two services to PostgreSQL, as a receiver of OpenTelemetry's own protocol sees them.

The collector itself cannot be installed where these tests run; its protocol, decoded by OpenTelemetry's classes, can.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from databases import private
from manifest import FULL_WITHOUT_SQL, MANIFEST
from matrix import some
from receivers import listening_in
from running import START_SECONDS, Server, add, in_production, prepare, required_settings, serving, until
from test_cost import OPCODES

SERVER, CLIENT, ERROR = 2, 3, 2

ROUTES = """
import os
from urllib.request import Request, urlopen

from flask import request
from sqlalchemy import text

from ..extensions import tracing
from ..extensions.sqlalchemy import db


@bp.get("/process")
def process() -> ResponseReturnValue:
    return str(os.getpid())


@bp.get("/call")
def call() -> ResponseReturnValue:
    with urlopen(Request(request.args["url"], headers=tracing.headers())) as answer:
        return {"status": answer.status}


@bp.get("/read")
def read() -> ResponseReturnValue:
    return {"read": db.session.scalar(text("SELECT :value"), {"value": "planted-value"})}


@bp.get("/wrong")
def wrong() -> ResponseReturnValue:
    return {"wrong": db.session.scalar(text("SELECT CAST(:value AS integer)"), {"value": "planted-value"})}
"""


@pytest.fixture
def receiver() -> Iterator[Any]:
    """The receiver that the tests of services have."""
    with listening_in("tracing.Receiver") as receiver:
        yield receiver


@pytest.mark.slow
@pytest.mark.parametrize("server", MANIFEST["_answers"]["server"])
def test_one_trace_from_the_caller_to_the_database(server: str, receiver: Any, bake: Any, tmp_path: Path) -> None:
    service: Path = bake(sql="postgresql", tracing="yes", server=server, project_name="Traces").path
    prepare(service, ROUTES)
    command = [".venv/bin/python", "-m", "traces", "serve"]
    settings = required_settings(service) | {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    with ExitStack() as stack:
        settings["DATABASE_URL"] = stack.enter_context(private("postgresql")).url
        front, back = (
            stack.enter_context(serving(service, tmp_path / name, command, OTEL_SERVICE_NAME=name, **settings))
            for name in ("front", "back")
        )
        # The main process has forked, and must not have more threads for that.
        with serving(service, tmp_path / "off", command, **settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) as off:
            assert threads(front) == threads(back) == threads(off)
        for server_of_two in (front, back):
            until(lambda it=server_of_two: len(processes(it)) == 2, START_SECONDS)
        # So many that each worker answers some.
        traces = [os.urandom(16).hex() for _ in range(60)]
        caller = "b7ad6b7169203331"
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(
                lambda trace: front.get(f"/call?url={back.url}/read", traceparent=f"00-{trace}-{caller}-01"), traces
            )
            assert {status for status, _ in answers} == {200}
        assert back.get("/wrong")[0] == 500
    spans = {
        name: [span for span in receiver.spans if span["resource"]["service.name"] == name]
        for name in ("front", "back")
    }
    for trace in traces:
        (called,) = [span for span in spans["front"] if span["trace"] == trace]
        reading, statement = sorted(
            (span for span in spans["back"] if span["trace"] == trace), key=lambda span: span["kind"]
        )
        assert (called["name"], called["kind"], called["parent"]) == ("GET /call", SERVER, caller)
        assert (reading["name"], reading["kind"], reading["parent"]) == ("GET /read", SERVER, called["id"])
        assert (statement["kind"], statement["parent"]) == (CLIENT, reading["id"])
        assert statement["attributes"]["db.system.name"] == "postgresql"
        assert statement["attributes"]["server.address"] == "127.0.0.1"
    (wrong,) = [span for span in spans["back"] if span["name"] == "GET /wrong"]
    (failed,) = [span for span in spans["back"] if span["parent"] == wrong["id"]]
    assert (failed["status"], failed["events"]) == ((ERROR, ""), 0)
    assert failed["attributes"]["error.type"] == wrong["attributes"]["error.type"].replace(
        "DataError", "InvalidTextRepresentation"
    )
    assert "planted" not in str(receiver.spans)
    # Each worker is an instance of its own.
    instances = {name: {span["resource"]["service.instance.id"] for span in found} for name, found in spans.items()}
    assert {name: len(found) for name, found in instances.items()} == {"front": 2, "back": 2}
    assert not instances["front"] & instances["back"]
    for log in (front.log, back.log):
        lines = [json.loads(line) for line in log.read_bytes().splitlines()]
        named = {line["trace_id"] for line in lines if line["event"] == "request" and line["path"] != "/livez"}
        assert named >= set(traces)


def processes(server: Server) -> set[bytes]:
    """The workers that answer, of some requests at once: one may have yet to start."""
    with ThreadPoolExecutor(16) as pool:
        return {number for _, number in pool.map(lambda _: server.get("/process"), range(16))}


def threads(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


FAILING = """


@bp.get("/bug")
def bug() -> ResponseReturnValue:
    raise RuntimeError("fault")
"""


@pytest.mark.slow
@pytest.mark.parametrize("listens", [False, True])
@pytest.mark.parametrize("server", some(MANIFEST["_answers"]["server"], "granian"))
def test_receivers_that_are_away(server: str, listens: bool, bake: Any, tmp_path: Path) -> None:
    """Or never answer: requests are answered, the log says so in few lines, and the server stops in time."""
    service: Path = bake(tracing="yes", sentry="yes", server=server, project_name="Away").path
    add(service, FAILING)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        address = "{}:{}".format(*silent.getsockname())
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
            # Seconds that OpenTelemetry itself would wait, and no orchestrator does.
            "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "SENTRY_DSN": f"http://key@{address}/1",
        }
        with in_production(service, tmp_path / "log", **settings) as started:
            assert started.get_many("/", 100) == [200] * 100
            assert started.get_many("/bug", 10) == [500] * 10
            started.await_requests(110)
            started.process.send_signal(signal.SIGTERM)
            assert started.process.wait(10) == 0
    lines = [line for line in started.log_lines() if str(line.get("logger")).startswith(("opentelemetry", "sentry"))]
    assert len(lines) <= 4
    assert "Traceback" not in str(lines)


def test_what_is_not_configured_is_not_imported(bake: Any) -> None:
    # redis-py imports OpenTelemetry by itself, wherever that is installed.
    service: Path = bake(**FULL_WITHOUT_SQL, redis="no").path
    code = "import sys, flask_service; flask_service.create_app({'APP_ENV': 'testing'}).test_client().get('/livez');"
    code += "print([name for name in sys.modules if name.startswith(('opentelemetry', 'sentry_sdk'))])"
    environment = os.environ | {"PYTHONPATH": str(service / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_what_is_not_configured_costs_nothing(bake: Any) -> None:
    """Not a bytecode, in a service that has it, beside one that has it not."""

    def count(**answers: str) -> int:
        service: Path = bake(**FULL_WITHOUT_SQL, **answers).path
        environment = os.environ | {"PYTHONPATH": str(service / "src")}
        command = [sys.executable, OPCODES, "flask_service"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return int(done.stdout.split()[1])

    assert count(tracing="yes", sentry="yes") == count(tracing="no", sentry="no") > 1000
