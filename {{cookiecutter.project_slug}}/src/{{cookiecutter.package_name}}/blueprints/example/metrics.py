"""Counts conversions, beside the requests that every route counts."""

from flask import Flask

from ...extensions.metrics import Counter
from . import converted


def init_app(app: Flask) -> None:
    # Counts of all workers are added up if the counter is made together with the application, and in this registry.
    counter = Counter("conversions", "Temperatures converted.", registry=app.extensions["metrics"])

    # By default, a signal holds its receivers by weak references: this function would be collected at once.
    converted.connect(lambda sender: counter.inc(), app, weak=False)
