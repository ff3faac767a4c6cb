"""The commands of stores, for Prometheus: how many, how long they take, and how many fail."""

from collections.abc import Callable
from time import perf_counter

from flask import Flask

from ..metrics import BUCKETS, Counter, Histogram
from . import observers, store_unavailable


def init_app(app: Flask) -> None:
    registry = app.extensions["metrics"]
    name, text = "store_command_duration_seconds", "Seconds until a store had answered."
    durations = Histogram(name, text, ["store", "command"], registry=registry, buckets=BUCKETS)
    failed = Counter("store_commands_failed", "Commands that failed.", ["store", "command"], registry=registry)
    answers = Counter("store_unavailable", "Requests that were answered 503.", ["store"], registry=registry)

    def begin(store: str, command: str) -> Callable[[BaseException | None], None]:
        started = perf_counter()

        def end(error: BaseException | None) -> None:
            durations.labels(store, command).observe(perf_counter() - started)
            if error:
                failed.labels(store, command).inc()

        return end

    observers(app).append(begin)
    store_unavailable.connect(lambda sender, store: answers.labels(store).inc(), app, weak=False)
