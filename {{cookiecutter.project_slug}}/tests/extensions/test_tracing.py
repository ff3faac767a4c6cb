import json
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

#: As ``fixtures/tracing.py`` makes it.
Receiver = Any

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
SERVER, ERROR = 2, 2

#: Answers a request, and prints what of it was imported.
IMPORTED = """
import sys
import PACKAGE as package

client = package.create_app({"APP_ENV": "testing"}).test_client()
print(client.get("/").status_code, [name for name in sys.modules if name.startswith("opentelemetry")])
"""


@pytest.fixture
def tracing(package: ModuleType) -> ModuleType:
    return import_module(".extensions.tracing", package.__name__)


@pytest.fixture
def traced(make_app: Callable[..., Flask], receiver: Receiver) -> Flask:
    return make_app(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, PROPAGATE_EXCEPTIONS=False)


def flush(app: Flask) -> None:
    assert app.extensions["tracing"].provider.force_flush()


def test_nothing_is_imported_without_an_endpoint(package: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.replace("PACKAGE", package.__name__)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "200 []\n"


def test_a_request_is_a_span(traced: Flask, receiver: Receiver, package: ModuleType) -> None:
    traced.add_url_rule("/orders/<int:number>", view_func=lambda number: str(number))
    traced.test_client().get("/orders/7?token=confidential", headers={"Cookie": "a=confidential"}).close()
    flush(traced)
    (span,) = receiver.spans
    assert (span["name"], span["kind"], span["parent"], span["status"]) == (
        "GET /orders/<int:number>",
        SERVER,
        "",
        (0, ""),
    )
    assert span["attributes"] == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/orders/<int:number>",
        "url.path": "/orders/7",
        "url.scheme": "http",
    }
    assert span["resource"]["service.name"] == package.__name__.replace("_", "-")
    assert span["resource"]["deployment.environment.name"] == "testing"
    assert "confidential" not in str(span)


def test_the_trace_of_the_caller_goes_on(traced: Flask, receiver: Receiver) -> None:
    traced.test_client().get("/", headers={"traceparent": TRACEPARENT}).close()
    traced.test_client().get("/", headers={"traceparent": "nonsense"}).close()
    flush(traced)
    ours, other = receiver.spans
    assert (ours["trace"], ours["parent"]) == (TRACE, CALLER)
    assert other["trace"] != TRACE
    assert other["parent"] == ""


def test_requests_do_not_follow_each_other(traced: Flask, receiver: Receiver) -> None:
    """Not even where a response was never closed."""
    traced.add_url_rule("/stream", view_func=lambda: iter(["a", "b"]))
    client = traced.test_client()
    client.get("/stream")
    for _ in range(2):
        client.get("/").close()
    flush(traced)
    assert len({span["trace"] for span in receiver.spans}) == 2
    assert {span["parent"] for span in receiver.spans} == {""}


def test_probes_are_not_traced(traced: Flask, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor do they belong to a request that was never closed."""
    traced.add_url_rule("/stream", view_func=lambda: iter(["a", "b"]))
    client = traced.test_client()
    client.get("/stream")
    for path in traced.extensions["probes"]:
        client.get(path, headers={"traceparent": TRACEPARENT}).close()
    assert "trace_id" not in capsys.readouterr().err
    client.get("/").close()
    flush(traced)
    assert [span["name"] for span in receiver.spans] == ["GET /"]


def test_an_error_has_a_type_and_no_text(traced: Flask, receiver: Receiver) -> None:
    def bug() -> str:
        raise KeyError("confidential")

    traced.add_url_rule("/bug", view_func=bug)
    for path in "/bug", "/nowhere":
        traced.test_client().get(path).close()
    traced.test_client().open("/", method="BREW").close()
    flush(traced)
    bug_span, nowhere, brew = receiver.spans
    assert bug_span["attributes"]["error.type"] == "KeyError"
    assert (bug_span["status"], bug_span["events"]) == ((ERROR, ""), 0)
    assert "confidential" not in str(bug_span)
    assert (nowhere["name"], nowhere["status"], nowhere["attributes"]["http.response.status_code"]) == (
        "GET",
        (0, ""),
        404,
    )
    assert (brew["name"], brew["attributes"]["http.request.method"]) == ("HTTP", "_OTHER")


def test_an_error_that_is_answered(traced: Flask, receiver: Receiver) -> None:
    traced.add_url_rule("/away", view_func=lambda: ({}, 503))
    traced.test_client().get("/away").close()
    flush(traced)
    assert receiver.spans[0]["attributes"]["error.type"] == "503"
    assert receiver.spans[0]["status"] == (ERROR, "")


def test_lines_name_the_trace(traced: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    def log() -> str:
        traced.logger.warning("inside")
        return ""

    traced.logger.warning("outside")
    traced.add_url_rule("/log", view_func=log)
    traced.test_client().get("/log", headers={"traceparent": TRACEPARENT}).close()
    outside, inside, request = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert "trace_id" not in outside
    assert inside["trace_id"] == request["trace_id"] == TRACE
    assert inside["span_id"] == request["span_id"] != CALLER


def test_parts_of_a_request_and_other_services(traced: Flask, receiver: Receiver, tracing: ModuleType) -> None:
    def view() -> dict[str, str]:
        with tracing.span("render", pages=3):
            return dict(tracing.headers())

    traced.add_url_rule("/parts", view_func=view)
    handed_on = traced.test_client().get("/parts", headers={"traceparent": TRACEPARENT}).json
    traced.test_client().get("/").close()
    flush(traced)
    part = receiver.spans[0]
    assert (part["name"], part["trace"], part["attributes"]) == ("render", TRACE, {"pages": 3})
    assert handed_on == {"traceparent": f"00-{TRACE}-{part['id']}-01"}


def test_without_an_endpoint_parts_cost_nothing(app: Flask, tracing: ModuleType) -> None:
    with app.test_request_context(), tracing.span("render"):
        assert tracing.headers() == {}


def test_two_apps_do_not_mix(make_app: Callable[..., Flask], make_receiver: Callable[[], Receiver]) -> None:
    receivers = make_receiver(), make_receiver()
    apps = [
        make_app(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_SERVICE_NAME=name)
        for receiver, name in zip(receivers, ["first", "second"], strict=True)
    ]
    outer, inner = apps
    # Mounted, the inner one is asked while the outer one answers.
    outer.add_url_rule("/mounted", view_func=lambda: inner.test_client().get("/").text)
    outer.test_client().get("/mounted").close()
    make_app().test_client().get("/").close()
    for app in apps:
        flush(app)
    for receiver, name in zip(receivers, ["first", "second"], strict=True):
        assert {span["resource"]["service.name"] for span in receiver.spans} <= {name}
    assert [span["name"] for span in receivers[0].spans] == ["GET /mounted"]


@pytest.mark.parametrize(
    ("sampler", "argument", "count"),
    [("always_off", "1", 0), ("traceidratio", "0", 0), ("parentbased_traceidratio", "0", 1)],
)
def test_sampler(make_app: Callable[..., Flask], receiver: Receiver, sampler: str, argument: str, count: int) -> None:
    """With a parent that was sampled, only what is based on it samples."""
    settings = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    app = make_app(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, **settings)
    app.test_client().get("/", headers={"traceparent": TRACEPARENT}).close()
    app.test_client().get("/", headers={"traceparent": TRACEPARENT[:-1] + "0"}).close()
    flush(app)
    assert len(receiver.spans) == count


def test_headers(make_app: Callable[..., Flask], receiver: Receiver) -> None:
    headers = "authorization=Bearer%20confidential,x-tenant=7"
    app = make_app(OTEL_EXPORTER_OTLP_ENDPOINT=f"{receiver.url}/", OTEL_EXPORTER_OTLP_HEADERS=headers)
    app.test_client().get("/").close()
    flush(app)
    assert receiver.headers[0]["authorization"] == "Bearer confidential"
    assert receiver.headers[0]["x-tenant"] == "7"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer confidential"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ],
)
def test_wrong_settings_are_named(make_app: Callable[..., Flask], name: str, value: str) -> None:
    with pytest.raises(Exception, match=f"{name}: ") as refusal:
        make_app(**{name: value})
    assert "confidential" not in str(refusal.value)


def test_every_worker_sends_its_spans_before_it_ends(
    serve: Callable[..., Popen[bytes]], fetch: Callable[..., tuple[int, str]], receiver: Receiver
) -> None:
    server = serve(WEB_WORKERS="2", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_SERVICE_NAME="workers")
    for number in range(20):
        fetch("/", headers={"traceparent": f"00-{TRACE}-{number + 1:016x}-01"})
    server.terminate()
    assert server.wait(timeout=20) == 0
    parents = {span["parent"] for span in receiver.spans if span["name"] == "GET /"}
    assert parents == {f"{number + 1:016x}" for number in range(20)}
    assert {span["resource"]["service.name"] for span in receiver.spans} == {"workers"}


@pytest.mark.parametrize("listens", [False, True])
def test_a_receiver_that_is_away(
    serve: Callable[..., Popen[bytes]], fetch: Callable[..., tuple[int, str]], tmp_path: Path, listens: bool
) -> None:
    """Or never answers: requests do, the log says so once, and the server stops in time."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        url = "http://{}:{}".format(*silent.getsockname())
        # Seconds that OpenTelemetry itself would wait, and no orchestrator does.
        server = serve(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_TIMEOUT="60", OTEL_BSP_SCHEDULE_DELAY="100")
        assert {fetch("/")[0] for _ in range(100)} == {200}
        server.terminate()
        assert server.wait(timeout=20) == 0
    lines = [json.loads(line) for line in (tmp_path / "server.log").read_text().splitlines()]
    assert len([line for line in lines if str(line.get("logger")).startswith("opentelemetry")]) <= 1
    assert "Traceback" not in str(lines)
