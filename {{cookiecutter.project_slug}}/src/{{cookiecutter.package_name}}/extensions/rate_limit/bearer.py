"""The requests of a bearer token count together, wherever they come from."""

from flask import Flask, g


def init_app(app: Flask) -> None:
    app.extensions["rate_limit"].callers.append(lambda: getattr(g.get("user"), "subject", ""))
