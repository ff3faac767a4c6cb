"""Answers in Redis. A request holds its key while it runs; a second one is answered 409 meanwhile.

An effect elsewhere and the answer are not one transaction: if the process is killed between them, or if Redis loses the
key, a repeated request has a second effect.
"""

from collections.abc import Callable
from secrets import token_hex
from typing import Any

import structlog
from flask import Flask
from msgspec import json
from redis import RedisError

from ...redis import client
from . import KEPT, Answer, in_progress

#: Seconds after which a key is free at the latest: longer than any view takes. A killed process holds its key so long.
HOLD = 60


def init_app(app: Flask) -> None:
    app.extensions.setdefault("idempotency", once)


def once(key: str, make: Callable[[], Answer]) -> Answer:
    """Return the answer that is kept under a key, or make it and keep it."""
    name, token = f"idempotency:{key}", token_hex(16)
    if not client().set(name, token, nx=True, ex=HOLD):
        found: Any = client().get(name)
        if not found or found[0] != "[":  # The token of another request.
            in_progress()
        return json.decode(found, type=Answer)
    try:
        answer = make()
    except BaseException:
        _end(name, token)
        raise
    _end(name, token, json.encode(answer))
    return answer


def _end(name: str, token: str, answer: bytes = b"") -> None:
    """Keep an answer, or free the key, if this request still holds it."""

    def write(pipe: Any) -> None:
        if pipe.get(name) == token:
            pipe.multi()
            pipe.set(name, answer, ex=KEPT) if answer else pipe.delete(name)

    try:
        client().transaction(write, name)
    except RedisError as error:
        # The view has succeeded: after an error, the client would repeat the request.
        structlog.get_logger().warning("idempotency_key_lost", reason=str(error))
