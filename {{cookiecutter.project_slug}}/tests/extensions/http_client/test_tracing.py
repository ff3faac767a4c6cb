"""The spans of calls."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_the_trace_goes_on(
    make_caller: Callable[..., Flask], service: Any, answering: Callable[..., Any], receiver: Any
) -> None:
    modules = ["extensions.tracing", "extensions.http_client", "extensions.http_client.tracing"]
    app = make_caller(service.url, *modules, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    app.test_client().get("/ask", headers=headers).close()
    service.answers = [answering(404)]
    app.test_client().get("/ask", headers=headers).close()
    app.extensions["tracing"].provider.force_flush()
    calls = [span for span in receiver.spans if span["name"] == "GET /notes"]
    requests = [span for span in receiver.spans if span["name"] == "GET /ask"]
    assert [span["trace"] for span in calls] == [TRACE, TRACE]
    assert [span["parent"] for span in calls] == [span["id"] for span in requests]
    for span, (_, _, sent, _) in zip(calls, service.asked, strict=True):
        assert sent["traceparent"] == f"00-{TRACE}-{span['id']}-01"
    attributes = {"http.request.method": "GET", "url.template": "/notes", "server.address": "orders"}
    assert calls[0]["attributes"] == attributes | {"http.response.status_code": 200}
    assert calls[1]["attributes"] == attributes | {"http.response.status_code": 404, "error.type": "404"}


def test_the_trace_goes_on_in_one_process(
    make_caller: Callable[..., Flask], probe: Callable[..., Flask], receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("orders_here")
    monkeypatch.setitem(sys.modules, "orders_here", package)
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    called = probe("extensions.tracing", **endpoint)
    called.add_url_rule("/notes", "notes", dict)
    package.create_app = lambda config: called  # type: ignore[attr-defined]
    modules = ["extensions.tracing", "extensions.http_client", "extensions.http_client.tracing"]
    app = make_caller("wsgi://orders_here", *modules, ORDERS_SETTINGS={}, **endpoint)
    app.add_url_rule("/twice", "twice", lambda: [app.view_functions["ask"]() for _ in range(2)])
    assert app.test_client().get("/twice").json == [{}, {}]
    for made in (app, called):
        made.extensions["tracing"].provider.force_flush()
    (request,) = (span for span in receiver.spans if span["name"] == "GET /twice")
    calls = {span["id"] for span in receiver.spans if span["parent"] == request["id"]}
    answers = [span for span in receiver.spans if span["parent"] in calls]
    assert len(calls) == len(answers) == 2
    assert {span["trace"] for span in answers} == {request["trace"]}


def test_without_an_endpoint_nothing_is_observed(make_caller: Callable[..., Flask], service: Any) -> None:
    modules = ["extensions.tracing", "extensions.http_client", "extensions.http_client.tracing"]
    assert make_caller(service.url, *modules).extensions["http_client"].observers == []
