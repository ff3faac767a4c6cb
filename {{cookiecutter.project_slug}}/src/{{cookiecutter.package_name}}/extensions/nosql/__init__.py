"""What all stores but the relational one have in common: the answer while one is away, and observers of commands.

An observer is called when a command begins, with the names of the store and of the command. It returns a function that
is called when the command has ended, with the exception or None. Metrics and traces add theirs before a store starts.
"""

from collections.abc import Callable

import structlog
from blinker import Namespace
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

Observer = Callable[[str, str], Callable[[BaseException | None], None]]

#: Sent when a request is answered 503 because of a store, with the application as the sender and ``store`` (str).
store_unavailable = Namespace().signal("store_unavailable")


def observers(app: Flask) -> list[Observer]:
    """The observers of commands: a store that finds none registers nothing with its driver."""
    found: list[Observer] = app.extensions.setdefault("observers", [])
    return found


def unavailable(store: str, error: BaseException) -> ResponseReturnValue:
    """Answer 503: the store is away, or too slow. Clients may try again in five seconds."""
    structlog.get_logger().warning("store_unavailable", store=store, reason=str(error))
    store_unavailable.send(current_app._get_current_object(), store=store)  # type: ignore[attr-defined]
    return current_app.handle_http_exception(ServiceUnavailable(f"{store} is unavailable.", retry_after=5))
