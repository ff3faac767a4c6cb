"""An error that every operation of the API may answer: a store is unavailable."""

from flask import Flask


def init_app(app: Flask) -> None:
    app.extensions["api_errors"].add(503)
