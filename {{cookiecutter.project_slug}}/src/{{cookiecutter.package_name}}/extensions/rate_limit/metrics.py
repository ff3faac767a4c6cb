"""Requests that were limited, for Prometheus, by what came of them."""

from flask import Flask

from ..ephemeral.metrics import counter


def init_app(app: Flask) -> None:
    text = "Requests under a limit, by what came of them."
    app.extensions["rate_limit"].observers.append(counter(app, "rate_limit_requests", text, "policy"))
