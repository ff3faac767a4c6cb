"""What this service is for: its routes."""

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

bp = Blueprint("main", __name__)


@bp.get("/")
def index() -> ResponseReturnValue:
    """Say which service this is."""
    return {"service": current_app.name}


# The next route goes here.
