"""What a worker knows of a job that it was given. https://docs.celeryq.dev/en/stable/userguide/tasks.html#requests"""

from typing import Any

from celery.worker.request import Request


class AcknowledgedRequest(Request):  # type: ignore[misc]
    """A job whose acknowledgement has to arrive: if it does not, the worker reconnects.

    Celery's own class logs the error and goes on. If the broker only was too slow, and the connection stays open, such
    jobs count as unfinished for ever: as soon as they fill the worker's limit, it takes no more jobs.
    """

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options | {"connection_errors": ()})
