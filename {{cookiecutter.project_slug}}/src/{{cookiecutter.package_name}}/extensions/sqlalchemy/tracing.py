"""A span for each statement of a request that is traced: its text, and never the values that are bound.

https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

from typing import Any

from flask import Flask
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine, ExceptionContext

from . import db


def init_app(app: Flask) -> None:
    if "tracing" in app.extensions:
        with app.app_context():
            for engine in db.engines.values():
                listen(engine, app.extensions["tracing"].tracer)


def listen(engine: Engine, tracer: Any) -> None:
    """Trace what one engine executes.

    The instrumentation that OpenTelemetry has for SQLAlchemy would trace every engine of the process
    for the first application in it, and record the messages of errors, which quote values.
    """
    from opentelemetry.trace import SpanKind, StatusCode, get_current_span

    url = engine.url
    known = {
        "db.system.name": url.get_backend_name(),
        "db.namespace": url.database,
        "server.address": url.host,
        "server.port": url.port,
    }
    attributes = {name: value for name, value in known.items() if value}

    @event.listens_for(engine, "before_cursor_execute")
    def begin(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        # A statement outside of requests, such as one of a migration, would be a trace of its own.
        if get_current_span().is_recording() and not statement.startswith("BEGIN"):
            operation = statement.split(maxsplit=1)[0].upper()
            context.span = tracer.start_span(
                f"{operation} {url.database or known['db.system.name']}",
                kind=SpanKind.CLIENT,
                attributes=attributes | {"db.operation.name": operation, "db.query.text": statement},
            )

    @event.listens_for(engine, "after_cursor_execute")
    def end(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if span := vars(context).pop("span", None):
            span.end()

    @event.listens_for(engine, "handle_error")
    def fail(context: ExceptionContext) -> None:
        if context.execution_context and (span := vars(context.execution_context).pop("span", None)):
            span.set_attribute("error.type", type(context.original_exception).__qualname__)
            span.set_status(StatusCode.ERROR)
            span.end()
