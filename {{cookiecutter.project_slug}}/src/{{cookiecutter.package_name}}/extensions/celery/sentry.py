"""Exceptions of jobs are reported to Sentry, with the job and the request that sent it, without its arguments."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Flask
from structlog.contextvars import get_contextvars

from ..sentry import FLUSH_TIMEOUT, TAGS


def init_app(app: Flask) -> None:
    if "sentry" not in app.extensions:
        return
    from celery import signals

    app.extensions["jobs"].around.append(report)
    # Processes of a worker call neither functions of ``atexit`` nor those of ``multiprocessing``.
    signals.worker_process_shutdown.connect(flush)


@contextmanager
def report(name: str, headers: Mapping[str, str]) -> Iterator[None]:
    """Report the exception that ends a start of a job."""
    import sentry_sdk

    with sentry_sdk.isolation_scope() as scope:
        scope.set_transaction_name(name)
        scope.set_tags({name: value for name, value in get_contextvars().items() if name in {*TAGS, "job", "job_id"}})
        try:
            yield
        except Exception as error:
            sentry_sdk.capture_exception(error)
            raise


def flush(**_: object) -> None:
    import sentry_sdk

    sentry_sdk.flush(FLUSH_TIMEOUT)
