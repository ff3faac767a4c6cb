"""What a worker knows of a job that it was given. https://docs.celeryq.dev/en/stable/userguide/tasks.html#requests"""

from typing import Any

from celery.worker.request import Request


class AcknowledgedRequest(Request):  # type: ignore[misc]
    """A job whose acknowledgement has to arrive: if it does not, the worker connects anew.

    Celery's own logs the error and goes on. Where the broker did not answer in time, and the connection lives, such jobs
    count as unfinished for ever: after as many as it may have at once, the worker asks for none.
    """

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options | {"connection_errors": ()})
