"""Pages of other origins may repeat a POST."""

from flask import Flask


def init_app(app: Flask) -> None:
    app.extensions["cors"]["sent"].append("Idempotency-Key")
