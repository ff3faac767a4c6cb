"""Requests that were limited, for Prometheus, by what came of them."""

from collections.abc import Callable
from functools import lru_cache

from flask import Flask


def init_app(app: Flask) -> None:
    from prometheus_client import Counter

    text = "Requests under a limit, by what came of them."
    limited = Counter("rate_limit_requests", text, ["policy", "result"], registry=app.extensions["metrics"])

    @lru_cache(1000)  # ``labels`` is the expensive part of counting.
    def of(policy: str, result: str) -> Callable[[], None]:
        return limited.labels(policy, result).inc

    app.extensions["rate_limit"].observers.append(lambda policy, result: of(policy, result)())
