"""What the database adds to the API: an error that every operation may answer, and a commit that tells what it stored."""

from typing import TypeVar

from flask import Flask

from ..api.contract import Output
from . import db

Out = TypeVar("Out", bound=Output)


def init_app(app: Flask) -> None:
    app.extensions["api_errors"].add(503)


def commit(model: object, kind: type[Out]) -> Out:
    """Commit, and return what was stored: after the commit, somebody else may have changed or deleted it."""
    db.session.flush()
    db.session.refresh(model)
    stored = kind.of(model)
    db.session.commit()
    return stored
