"""Counters for Prometheus: results, by a label."""

from collections.abc import Callable
from functools import lru_cache

from flask import Flask

from ..metrics import Counter


def counter(app: Flask, name: str, text: str, label: str) -> Callable[[str, str], None]:
    """Make a counter with a label and a result, and return a function that increments it."""
    counted = Counter(name, text, [label, "result"], registry=app.extensions["metrics"])

    @lru_cache(1000)  # ``labels`` is the expensive part of counting.
    def of(value: str, result: str) -> Callable[[], None]:
        return counted.labels(value, result).inc

    return lambda value, result: of(value, result)()
