"""Redis, for data that may be lost: a request waits for it for 50 ms, and not at all while it is away.

The client of ``extensions/redis`` waits for ``REDIS_TIMEOUT``, because a view needs its answers.
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
#: Failures in a row after which Redis counts as away: a single one may be a busy moment.
STRIKES = 3
#: Seconds until it is then tried again.
PAUSE = 1

Value = TypeVar("Value")


def init_app(app: Flask) -> None:
    app.extensions["ephemeral"] = Asking(app)


class Asking:
    """Asks Redis, and remembers when it was away."""

    def __init__(self, app: Flask) -> None:
        pool = app.extensions["redis"].connection_pool
        patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        # driver_info: announcing the library would cost each new connection two more round trips.
        same = {**pool.connection_kwargs, **patience, "decode_responses": False, "driver_info": None}
        # A thread uses one connection at most. A lower bound would make a busy moment look like an outage.
        self.redis = Redis(connection_pool=ConnectionPool(pool.connection_class, max_connections=1000, **same))
        self.lock = Lock()
        self.failures = 0
        #: When it may be tried again, by ``monotonic()``.
        self.again = 0.0

    def __call__(self, command: Callable[..., Value], *args: object, **kwargs: object) -> Value:
        """Run a command of the client, or a script.

        :raises AwayError: after 50 ms; while Redis counts as away, at once, except for one attempt each second.
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
