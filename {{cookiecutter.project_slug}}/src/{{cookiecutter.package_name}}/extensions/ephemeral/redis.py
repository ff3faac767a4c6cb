"""Redis, for what may be lost: a request waits for it for 50 ms, and for a second after that not at all.

The client of ``extensions/redis`` waits for ``REDIS_TIMEOUT``, because what it is asked is needed.
"""

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TypeVar

import structlog
from flask import Flask
from redis import ConnectionPool, Redis, RedisError

from . import AwayError

#: Seconds that Redis may take for a connection, and for an answer.
PATIENCE = 0.05
#: Seconds in which it is left alone after it took longer, or refused.
PAUSE = 1

Value = TypeVar("Value")


def init_app(app: Flask) -> None:
    app.extensions["ephemeral"] = Asking(app)


class Asking:
    """Asks Redis, and remembers when it was away."""

    def __init__(self, app: Flask) -> None:
        pool = app.extensions["redis"].connection_pool
        patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        same = {**pool.connection_kwargs, **patience, "decode_responses": False}
        # Each thread has one at most. A bound would take a busy moment for a Redis that is away.
        self.redis = Redis(connection_pool=ConnectionPool(pool.connection_class, max_connections=1000, **same))
        self.lock = Lock()
        #: When it may be asked again, by the clock of the machine's uptime; 0 while it answers.
        self.again = 0.0

    def __call__(self, command: Callable[..., Value], *args: object, **kwargs: object) -> Value:
        """Run a command of the client, or a script.

        :raises AwayError: after 50 ms; at once if it was away within the last second.
        """
        if tries_again := self.again > 0:
            with self.lock:
                if self.again > monotonic():
                    raise AwayError
                self.again = monotonic() + PAUSE  # Meanwhile, others go on without it.
        try:
            value = command(*args, **kwargs)
        except RedisError as error:
            with self.lock:
                known, self.again = self.again > 0, monotonic() + PAUSE
            if not known:
                structlog.get_logger().warning("ephemeral_redis_away", reason=str(error))
            raise AwayError from error
        if tries_again:
            self.again = 0
            structlog.get_logger().info("ephemeral_redis_back")
        return value
