"""A span for each command of a request that is traced: its name, and never its values.

https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

from collections.abc import Callable

from flask import Flask

from . import observers


def init_app(app: Flask) -> None:
    if "tracing" in app.extensions:
        observers(app).append(observer(app))


def observer(app: Flask) -> Callable[[str, str], Callable[[BaseException | None], None]]:
    from opentelemetry.trace import SpanKind, StatusCode, get_current_span

    tracer = app.extensions["tracing"].tracer

    def begin(store: str, command: str) -> Callable[[BaseException | None], None]:
        # A command outside of requests, such as one of a readiness check, would be a trace of its own.
        if not get_current_span().is_recording():
            return lambda error: None
        attributes = {"db.system.name": store, "db.operation.name": command}
        span = tracer.start_span(f"{command} {store}", kind=SpanKind.CLIENT, attributes=attributes)

        def end(error: BaseException | None) -> None:
            if error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
            span.end()

        return end

    return begin
