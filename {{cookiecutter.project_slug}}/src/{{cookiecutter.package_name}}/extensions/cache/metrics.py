"""How often a cached function or view was asked, for Prometheus, and what came of it."""

from flask import Flask

from ..ephemeral.metrics import counter


def init_app(app: Flask) -> None:
    text = "Times that a cached function or view was asked, by what came of it."
    app.extensions["cache"].observers.append(counter(app, "cache_requests", text, "name"))
