"""How often a cached function or view was asked, for Prometheus, and what came of it."""

from collections.abc import Callable
from functools import lru_cache

from flask import Flask


def init_app(app: Flask) -> None:
    from prometheus_client import Counter

    text = "Times that a cached function or view was asked, by what came of it."
    asked = Counter("cache_requests", text, ["name", "result"], registry=app.extensions["metrics"])

    @lru_cache(1000)  # ``labels`` is the expensive part of counting.
    def of(name: str, result: str) -> Callable[[], None]:
        return asked.labels(name, result).inc

    app.extensions["cache"].observers.append(lambda name, result: of(name, result)())
