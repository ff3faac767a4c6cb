"""Counts events, which may be many in a request."""

from flask import Flask

from ...extensions.metrics import Counter
from . import taken


def init_app(app: Flask) -> None:
    counter = Counter("events", "Events taken.", registry=app.extensions["metrics"])
    taken.connect(lambda sender, count: counter.inc(count), app, weak=False)
