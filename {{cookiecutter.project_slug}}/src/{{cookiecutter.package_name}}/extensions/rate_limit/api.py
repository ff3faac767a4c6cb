"""Operations of the API: their callers, and an error that each of them may answer."""

from flask import Flask, g


def init_app(app: Flask) -> None:
    app.extensions["api_errors"].add(429)
    app.extensions["rate_limit"].callers.append(subject)


def subject() -> str:
    """Who was authenticated."""
    found = getattr(g.get("user"), "subject", None)
    return f"subject {found}" if found else ""
