"""Counts conversions, beside the requests that every route counts."""

from flask import Flask

from . import converted


def init_app(app: Flask) -> None:
    from prometheus_client import Counter

    # The workers' counts are added up, if it is made with the application and in this registry.
    counter = Counter("conversions", "Temperatures converted.", registry=app.extensions["metrics"])

    # Receivers are held weakly unless told otherwise.
    converted.connect(lambda sender: counter.inc(), app, weak=False)
