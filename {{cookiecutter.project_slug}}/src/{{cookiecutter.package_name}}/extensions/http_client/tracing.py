"""A span for each call to another service, which continues the trace: one span for all attempts of the call.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
"""

from collections.abc import Callable

from flask import Flask

from . import PeerError
from .peer import Observer


def init_app(app: Flask) -> None:
    if "tracing" in app.extensions:
        app.extensions["http_client"].observers.append(observer(app))


def observer(app: Flask) -> Observer:
    from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

    tracing = app.extensions["tracing"]

    def begin(peer: str, method: str, route: str, headers: dict[str, str]) -> Callable[[int, PeerError | None], None]:
        attributes = {"http.request.method": method, "url.template": route, "server.address": peer}
        span = tracing.tracer.start_span(f"{method} {route}", kind=SpanKind.CLIENT, attributes=attributes)
        tracing.propagator.inject(headers, set_span_in_context(span))

        def end(status: int, error: PeerError | None) -> None:
            if status:
                span.set_attribute("http.response.status_code", status)
            if error:
                span.set_attribute("error.type", str(status) if status >= 400 else type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
            span.end()

        return end

    return begin
