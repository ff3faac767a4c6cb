"""A span for each start of a job, in the trace of the request that sent it.

https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Flask

from .. import tracing


def init_app(app: Flask) -> None:
    if "tracing" not in app.extensions:
        return
    from celery import signals

    traces = Traces(app)
    jobs = app.extensions["jobs"]
    jobs.carried.append(tracing.headers)
    jobs.around.append(traces.span)
    # Processes of a worker call neither functions of ``atexit`` nor those of ``multiprocessing``.
    signals.worker_process_shutdown.connect(traces.flush)


class Traces:
    """The spans of jobs."""

    def __init__(self, app: Flask) -> None:
        self.tracing: tracing.Tracing = app.extensions["tracing"]

    @contextmanager
    def span(self, name: str, headers: Mapping[str, str]) -> Iterator[None]:
        """Continue the trace of the one who sent the job."""
        from opentelemetry.trace import SpanKind, StatusCode

        found = self.tracing
        attributes = {"messaging.system": "celery", "messaging.operation.name": "process", "messaging.job.name": name}
        with found.tracer.start_as_current_span(
            name,
            found.propagator.extract({field: headers.get(field) or "" for field in found.propagator.fields}),
            SpanKind.CONSUMER,
            attributes,
            # Messages of exceptions are often personal: they quote values.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise

    def flush(self, **_: object) -> None:
        self.tracing.provider.force_flush(int(tracing.FLUSH_TIMEOUT * 1000))
