"""Who is signed in has limits of their own, whatever address they come from."""

from flask import Flask

from .users import current_user


def init_app(app: Flask) -> None:
    app.extensions["rate_limit"].callers.append(lambda: f"user {current_user.id}" if current_user else "")
