"""The spans of calls."""

from collections.abc import Callable
from typing import Any

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


def test_without_an_endpoint_nothing_is_observed(make_caller: Callable[..., Flask], service: Any) -> None:
    modules = ["extensions.tracing", "extensions.http_client", "extensions.http_client.tracing"]
    assert make_caller(service.url, *modules).extensions["http_client"].observers == []
