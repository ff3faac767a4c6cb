"""Redis, for what may be lost: a request waits for it for 50 ms, and while it is away not at all.

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
#: Times in succession that it took longer, or refused, until it is away: once may be a busy moment.
STRIKES = 3
#: Seconds in which it is then left alone.
PAUSE = 1

Value = TypeVar("Value")


def init_app(app: Flask) -> None:
    app.extensions["ephemeral"] = Asking(app)


class Asking:
    """Asks Redis, and remembers when it was away."""

    def __init__(self, app: Flask) -> None:
        pool = app.extensions["redis"].connection_pool
        patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        # Without telling the server of the library, which would take two more answers of a new connection.
        same = {**pool.connection_kwargs, **patience, "decode_responses": False, "driver_info": None}
        # Each thread has one at most. A bound would take a busy moment for a Redis that is away.
        self.redis = Redis(connection_pool=ConnectionPool(pool.connection_class, max_connections=1000, **same))
        self.lock = Lock()
        self.failures = 0
        #: When it may be asked again, by the clock of the machine's uptime.
        self.again = 0.0

    def __call__(self, command: Callable[..., Value], *args: object, **kwargs: object) -> Value:
        """Run a command of the client, or a script.

        :raises AwayError: after 50 ms; while it is known to be away, at once, but for one that tries each second.
        """
        if self.failures >= STRIKES:
            with self.lock:
                if self.again > monotonic():
                    raise AwayError
                self.again = monotonic() + PAUSE
        try:
            value = command(*args, **kwargs)
        except RedisError as error:
            with self.lock:
                self.failures += 1
                if self.failures == STRIKES:
                    self.again = monotonic() + PAUSE
                    structlog.get_logger().warning("ephemeral_redis_away", reason=str(error))
            raise AwayError from error
        if self.failures:
            with self.lock:
                failures, self.failures = self.failures, 0
            if failures >= STRIKES:
                structlog.get_logger().info("ephemeral_redis_back")
        return value
