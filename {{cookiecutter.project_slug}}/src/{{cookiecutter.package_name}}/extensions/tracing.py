"""Tracing by OpenTelemetry: a span for each request, which continues the trace of its caller.

Without ``OTEL_EXPORTER_OTLP_ENDPOINT``, the SDK is not imported, and a request costs nothing more. The SDK itself reads
OpenTelemetry's other variables from the process environment, such as those for sampling.
https://opentelemetry.io/docs/languages/sdk-configuration/
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from logging import getLogger
from multiprocessing.util import Finalize
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, current_app, got_request_exception
from structlog.contextvars import bind_contextvars

from ..core.server import serving
from ..core.settings import ConfigError
from .version import installed_version

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from ..core.settings import Env

PACKAGE = __name__.partition(".")[0]
#: All other methods share one name: clients can send any word as a method.
METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
#: Seconds for sending the last spans when the process ends.
FLUSH_TIMEOUT = 2.0


def config(env: "Env") -> dict[str, Any]:
    endpoint = env.text("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    form = r"https?://([^/\s:[\]]+|\[[\da-f:]+\])(:(?P<port>\d{1,5}))?(/\S*)?"
    if endpoint and not ((found := re.fullmatch(form, endpoint)) and int(found["port"] or 0) < 65536):
        env.refuse("OTEL_EXPORTER_OTLP_ENDPOINT", "Not the URL of a receiver, such as http://127.0.0.1:4318")
    headers = env.text("OTEL_EXPORTER_OTLP_HEADERS", "")
    if not all("=" in header for header in headers.split(",") if header.strip()):
        env.refuse("OTEL_EXPORTER_OTLP_HEADERS", "Write name=value, and several with commas between them.")
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": headers,
        "OTEL_SERVICE_NAME": env.text("OTEL_SERVICE_NAME", "") or PACKAGE.replace("_", "-"),
    }


def init_app(app: Flask) -> None:
    if app.config["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        try:
            app.extensions["tracing"] = Tracing(app)
        except ValueError as error:
            raise ConfigError(f"OTEL_...: OpenTelemetry refuses one of its variables: {error}") from error


def span(name: str, **attributes: Any) -> AbstractContextManager[object]:
    """Trace a part of a request: ``with tracing.span("render"): ...``."""
    if "tracing" not in current_app.extensions:
        return nullcontext()
    # Messages of exceptions are often personal: they quote values.
    started: AbstractContextManager[object] = current_app.extensions["tracing"].tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    )
    return started


def headers() -> dict[str, str]:
    """The headers with which another service continues the trace of this request."""
    carrier: dict[str, str] = {}
    if "tracing" in current_app.extensions:
        current_app.extensions["tracing"].propagator.inject(carrier)
    return carrier


class Tracing:
    """The spans of requests, around Flask and inside the middleware: log lines of both belong to the span.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
    """

    def __init__(self, app: Flask) -> None:
        # Imported here, because they read the process environment, and take their time.
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.context, self.trace, self.propagator = context, trace, TraceContextTextMapPropagator()
        self.provider = provider(app.config)
        self.tracer = self.provider.get_tracer(PACKAGE)
        #: The key of a context for the request's span and the context before it.
        self.request = context.create_key("request")
        self.probes: set[str] = app.extensions["probes"]
        layer = app.extensions["middleware"]
        self.wsgi_app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]] = layer.wsgi_app
        layer.wsgi_app = self.begin
        layer.observers.append(self.end)
        got_request_exception.connect(self.fail, app)
        flush_at_end(app, self.provider)

    def begin(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Start the span of a request, and answer it. Probes and scrapes have no spans: these would bury the others."""
        # A request whose span is still open was never closed: the new request does not belong to it.
        earlier: Any = self.context.get_value(self.request)
        before = earlier[1] if earlier else self.context.get_current()
        if environ["PATH_INFO"] in self.probes:
            self.context.attach(before)
            return self.wsgi_app(environ, start_response)
        caller = {name: environ.get(f"HTTP_{name.upper()}", "") for name in self.propagator.fields}
        method, path = environ["REQUEST_METHOD"], environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
        attributes = {
            "http.request.method": method if method in METHODS else "_OTHER",
            "url.path": path.encode("latin-1").decode(errors="replace"),
            "url.scheme": environ["wsgi.url_scheme"],
        }
        span = self.tracer.start_span(method, self.propagator.extract(caller), self.trace.SpanKind.SERVER, attributes)
        context = span.get_span_context()
        # https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
        bind_contextvars(
            trace_id=self.trace.format_trace_id(context.trace_id), span_id=self.trace.format_span_id(context.span_id)
        )
        self.context.attach(self.trace.set_span_in_context(span, self.context.set_value(self.request, (span, before))))
        return self.wsgi_app(environ, start_response)

    def end(self, method: str, route: str, status: int, seconds: float) -> None:
        """End the span of the request, as one of the observers."""
        request: Any = self.context.get_value(self.request)
        if request is None:  # It began in another context, or is a probe.
            return
        span, before = request
        if span.is_recording():
            name = method if method in METHODS else "HTTP"
            span.update_name(f"{name} {route}" if route else name)
            span.set_attribute("http.response.status_code", status)
            if route:
                span.set_attribute("http.route", route)
            if status >= 500:
                span.set_status(self.trace.StatusCode.ERROR)
                if "error.type" not in span.attributes:
                    span.set_attribute("error.type", str(status))
        span.end()
        self.context.attach(before)

    def fail(self, sender: Flask, exception: BaseException, **_: object) -> None:
        """Record the class of an unexpected exception; its message stays in the log."""
        self.trace.get_current_span().set_attribute("error.type", type(exception).__qualname__)


def provider(config: Mapping[str, Any]) -> "TracerProvider":
    """The provider of spans, which also sends them: one for each application, and none for the process."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.util.re import parse_env_headers

    # Spans that were lost are an error; each attempt to send them again would be a warning.
    getLogger("opentelemetry").setLevel("ERROR")
    resource = {"service.name": config["OTEL_SERVICE_NAME"], "deployment.environment.name": config["APP_ENV"]}
    if version := installed_version():
        resource["service.version"] = version
    provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
    endpoint = f"{config['OTEL_EXPORTER_OTLP_ENDPOINT'].rstrip('/')}/v1/traces"
    headers = parse_env_headers(config["OTEL_EXPORTER_OTLP_HEADERS"], liberal=True)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, headers=headers)))
    return provider


def flush_at_end(app: Flask, provider: "TracerProvider") -> None:
    """Send the last spans when the process ends, but do not wait half a minute for a receiver that is away."""
    ending = Event()

    def close() -> None:
        ending.wait()
        provider.shutdown()

    # Started now, because at the end of a process no thread can be.
    thread = Thread(target=close, name="tracing", daemon=True)
    thread.start()

    def flush(*_: object, **__: object) -> None:
        ending.set()
        thread.join(FLUSH_TIMEOUT)

    # The main process answers no request, and a process with threads should not be forked.
    serving.connect(flush, app, weak=False)
    # Worker processes of multiprocessing do not call functions of ``atexit``.
    Finalize(None, flush, exitpriority=1)
