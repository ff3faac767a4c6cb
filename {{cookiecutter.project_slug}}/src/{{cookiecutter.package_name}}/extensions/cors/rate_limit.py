"""Pages of other origins may read how many requests are left."""

from flask import Flask


def init_app(app: Flask) -> None:
    app.extensions["cors"]["read"] += ["RateLimit", "RateLimit-Policy"]
