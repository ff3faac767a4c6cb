import json
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

#: As ``fixtures/tracing.py`` makes it.
Receiver = Any

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
SERVER, ERROR = 2, 2


@pytest.fixture
def tracing(package: ModuleType) -> ModuleType:
    return import_module(".extensions.tracing", package.__name__)


@pytest.fixture
def traced(probe: Callable[..., Flask], receiver: Receiver) -> Flask:
    return probe("extensions.tracing", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, PROPAGATE_EXCEPTIONS=False)


def flush(app: Flask) -> None:
    assert app.extensions["tracing"].provider.force_flush()


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


def test_probes_are_not_traced(traced: Flask, receiver: Receiver, capfd: pytest.CaptureFixture[str]) -> None:
    client = traced.test_client()
    for path in traced.extensions["probes"]:
        client.get(path, headers={"traceparent": TRACEPARENT}).close()
    assert "trace_id" not in capfd.readouterr().err
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


def test_lines_name_the_trace(traced: Flask, capfd: pytest.CaptureFixture[str]) -> None:
    def log() -> str:
        traced.logger.warning("inside")
        return ""

    traced.logger.warning("outside")
    traced.add_url_rule("/log", view_func=log)
    traced.test_client().get("/log", headers={"traceparent": TRACEPARENT}).close()
    lines = {line["event"]: line for line in map(json.loads, capfd.readouterr().err.splitlines())}
    outside, inside, request = (lines[event] for event in ("outside", "inside", "request"))
    assert "trace_id" not in outside
    assert inside["trace_id"] == request["trace_id"] == TRACE
    assert inside["span_id"] == request["span_id"] != CALLER
    flush(traced)


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


def test_without_an_endpoint_nothing_is_traced(probe: Callable[..., Flask], tracing: ModuleType) -> None:
    app = probe("extensions.tracing")
    assert "tracing" not in app.extensions
    assert app.extensions["middleware"].observers == []
    with app.test_request_context(), tracing.span("render"):
        assert tracing.headers() == {}


def test_two_apps_do_not_mix(probe: Callable[..., Flask], make_receiver: Callable[[], Receiver]) -> None:
    receivers = make_receiver(), make_receiver()
    apps = [
        probe("extensions.tracing", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_SERVICE_NAME=name)
        for receiver, name in zip(receivers, ["first", "second"], strict=True)
    ]
    outer, inner = apps
    # With a mounted application, the inner one is called while the outer one answers.
    outer.add_url_rule("/mounted", view_func=lambda: inner.test_client().get("/").text)
    outer.test_client().get("/mounted").close()
    probe("extensions.tracing").test_client().get("/").close()
    for app in apps:
        flush(app)
    for receiver, name in zip(receivers, ["first", "second"], strict=True):
        assert {span["resource"]["service.name"] for span in receiver.spans} <= {name}
    assert [span["name"] for span in receivers[0].spans] == ["GET /mounted"]


def test_what_opentelemetry_reads_for_itself(
    probe: Callable[..., Flask], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    app = probe("extensions.tracing", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    app.test_client().get("/").close()
    app.test_client().get("/", headers={"traceparent": TRACEPARENT}).close()
    flush(app)
    assert [span["parent"] for span in receiver.spans] == [CALLER]


def test_headers(probe: Callable[..., Flask], receiver: Receiver) -> None:
    headers = "authorization=Bearer%20confidential,x-tenant=7"
    app = probe(
        "extensions.tracing", OTEL_EXPORTER_OTLP_ENDPOINT=f"{receiver.url}/", OTEL_EXPORTER_OTLP_HEADERS=headers
    )
    app.test_client().get("/").close()
    flush(app)
    assert receiver.headers[0]["authorization"] == "Bearer confidential"
    assert receiver.headers[0]["x-tenant"] == "7"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:99999"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer confidential"),
    ],
)
def test_wrong_settings_are_named(probe: Callable[..., Flask], name: str, value: str) -> None:
    with pytest.raises(Exception, match=f"{name}: ") as refusal:
        probe("extensions.tracing", **{name: value})
    assert "confidential" not in str(refusal.value)


def test_a_wrong_variable_of_the_sdk_is_refused(
    probe: Callable[..., Flask], package: ModuleType, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    with pytest.raises(package.core.settings.ConfigError, match=r"OTEL_.*max_queue_size must be a positive integer"):
        probe("extensions.tracing", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
