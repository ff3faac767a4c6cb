"""Tracing by OpenTelemetry: a span for each request, which goes on with the trace of whoever sent it.

Without ``OTEL_EXPORTER_OTLP_ENDPOINT`` nothing of it is imported, and a request costs nothing more.
What else the process environment says in OpenTelemetry's own names, its SDK reads for itself.
https://opentelemetry.io/docs/languages/python/
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from logging import LogRecord, StreamHandler, getLogger
from multiprocessing.util import Finalize
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog
from flask import Flask, current_app, got_request_exception
from structlog.typing import EventDict, WrappedLogger

from .version import installed_version

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler

    from ..core.settings import Env

SAMPLERS = ["always_on", "always_off", "traceidratio"]
SAMPLERS += [f"parentbased_{name}" for name in SAMPLERS]
#: Other methods have one name together: clients can send any word as one.
METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
#: Seconds that the last spans have to be sent when the process ends.
FLUSH_TIMEOUT = 2.0
#: Seconds between two lines about spans that could not be sent.
QUIET = 60.0


def config(env: "Env") -> dict[str, Any]:
    endpoint = env.text("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if endpoint and not re.fullmatch(r"https?://([^/\s:[\]]+|\[[\da-f:]+\])(:\d{1,5})?(/\S*)?", endpoint):
        env.refuse("OTEL_EXPORTER_OTLP_ENDPOINT", "Not the URL of a receiver, such as http://127.0.0.1:4318")
    headers = env.text("OTEL_EXPORTER_OTLP_HEADERS", "")
    if not all("=" in header for header in headers.split(",") if header.strip()):
        env.refuse("OTEL_EXPORTER_OTLP_HEADERS", "Write name=value, and several with commas between them.")
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": headers,
        "OTEL_SERVICE_NAME": env.text("OTEL_SERVICE_NAME", "") or _package().replace("_", "-"),
        "OTEL_TRACES_SAMPLER": env.text("OTEL_TRACES_SAMPLER", "parentbased_always_on", choices=SAMPLERS),
        "OTEL_TRACES_SAMPLER_ARG": env.number("OTEL_TRACES_SAMPLER_ARG", 1.0, minimum=0, maximum=1),
    }


def init_app(app: Flask) -> None:
    if app.config["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        app.extensions["tracing"] = Tracing(app)


def span(name: str, **attributes: Any) -> AbstractContextManager[object]:
    """Trace a part of a request: ``with tracing.span("render"): ...``."""
    if "tracing" not in current_app.extensions:
        return nullcontext()
    # What exceptions say is often personal: they quote values.
    started: AbstractContextManager[object] = current_app.extensions["tracing"].tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    )
    return started


def headers() -> dict[str, str]:
    """What to send to another service, so that it goes on with the trace of this request."""
    carrier: dict[str, str] = {}
    if "tracing" in current_app.extensions:
        current_app.extensions["tracing"].propagator.inject(carrier)
    return carrier


class Tracing:
    """The spans of requests, around Flask and inside the middleware: what either logs belongs to the span.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
    """

    def __init__(self, app: Flask) -> None:
        # Imported here, because it reads the process environment, and takes its time.
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.context, self.trace = context, trace
        self.propagator = TraceContextTextMapPropagator()
        self.exporter = _exporter(app.config)
        self.provider = _provider(app.config)
        self.tracer = self.provider.get_tracer(_package())
        #: Where a context has the span of the request, and the context before it.
        self.request = context.create_key("request")
        self.lock = Lock()
        self.probes: set[str] = app.extensions["probes"]
        self.layer = app.extensions["middleware"]
        self.wsgi_app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]] = self.layer.wsgi_app
        self.layer.wsgi_app = self.first
        self.layer.observers.append(self.end)
        got_request_exception.connect(self.fail, app)
        structlog.get_config()["processors"].insert(0, self.identify)

    def first(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Start the thread that sends spans.

        The main process of a server makes an application as well, but answers no request: a thread in
        it would not be there in the workers that it forks.
        """
        with self.lock:
            if self.layer.wsgi_app != self.begin:
                send(self.provider, self.exporter)
                self.layer.wsgi_app = self.begin
        return self.begin(environ, start_response)

    def current(self) -> Any:
        """The span of the request in this context, and the context before it; None outside of requests."""
        return self.context.get_value(self.request)

    def begin(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Start the span of a request, and go on with the request; probes and scrapes would bury the others."""
        # The application may be mounted inside another, which goes on with its own span afterwards;
        # a request that is still there was never closed.
        _, before = self.current() or (None, self.context.get_current())
        if environ["PATH_INFO"] in self.probes:
            self.context.attach(before)
            return self.wsgi_app(environ, start_response)
        caller = {}
        if "HTTP_TRACEPARENT" in environ:
            caller = {"traceparent": environ["HTTP_TRACEPARENT"], "tracestate": environ.get("HTTP_TRACESTATE", "")}
        method = environ["REQUEST_METHOD"]
        path = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
        attributes = {
            "http.request.method": method if method in METHODS else "_OTHER",
            "url.path": path.encode("latin-1").decode(errors="replace"),
            "url.scheme": environ["wsgi.url_scheme"],
        }
        span = self.tracer.start_span(method, self.propagator.extract(caller), self.trace.SpanKind.SERVER, attributes)
        self.context.attach(self.trace.set_span_in_context(span, self.context.set_value(self.request, (span, before))))
        return self.wsgi_app(environ, start_response)

    def end(self, method: str, route: str, status: int, seconds: float) -> None:
        """End the span of the request, as one of the observers."""
        request = self.current()
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
        """Name the exception that no view expected; what it says stays in the log."""
        self.trace.get_current_span().set_attribute("error.type", type(exception).__qualname__)

    def identify(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Name the trace. https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/"""
        context = self.trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = self.trace.format_trace_id(context.trace_id)
            event["span_id"] = self.trace.format_span_id(context.span_id)
        return event


class RateLimitedHandler(StreamHandler):  # type: ignore[type-arg]
    """Passes on a line of OpenTelemetry's, and for a while no other: each span that cannot be sent has some."""

    until = 0.0

    def emit(self, record: LogRecord) -> None:
        if monotonic() > self.until:
            self.until = monotonic() + QUIET
            super().emit(record)


def send(provider: "TracerProvider", exporter: "SpanExporter") -> None:
    """Send spans in the background from now on, and the last ones when the process ends."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider.add_span_processor(BatchSpanProcessor(exporter))
    ending = Event()

    def close() -> None:
        ending.wait()
        provider.shutdown()

    # It waits for a receiver that is away longer than a stop may, and at the end no thread can be started.
    thread = Thread(target=close, name="tracing", daemon=True)
    thread.start()

    def flush() -> None:
        ending.set()
        thread.join(FLUSH_TIMEOUT)

    # Worker processes of multiprocessing do not call what ``atexit`` knows.
    Finalize(None, flush, exitpriority=1)


def _exporter(config: Mapping[str, Any]) -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.util.re import parse_env_headers

    logger = getLogger("opentelemetry")
    logger.handlers, logger.propagate = [RateLimitedHandler()], False
    endpoint = f"{config['OTEL_EXPORTER_OTLP_ENDPOINT'].rstrip('/')}/v1/traces"
    return OTLPSpanExporter(endpoint, headers=parse_env_headers(config["OTEL_EXPORTER_OTLP_HEADERS"], liberal=True))


def _provider(config: Mapping[str, Any]) -> "TracerProvider":
    """Where spans come from: one for each application, and none for the process."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    resource = {"service.name": config["OTEL_SERVICE_NAME"], "deployment.environment.name": config["APP_ENV"]}
    if version := installed_version():
        resource["service.version"] = version
    return TracerProvider(_sampler(config), Resource.create(resource), shutdown_on_exit=False)


def _sampler(config: Mapping[str, Any]) -> "Sampler":
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased

    name = config["OTEL_TRACES_SAMPLER"]
    ratio = TraceIdRatioBased(config["OTEL_TRACES_SAMPLER_ARG"])
    roots: dict[str, Sampler] = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF, "traceidratio": ratio}
    root = roots[name.removeprefix("parentbased_")]
    return ParentBased(root) if name.startswith("parentbased_") else root


def _package() -> str:
    return __name__.partition(".")[0]
