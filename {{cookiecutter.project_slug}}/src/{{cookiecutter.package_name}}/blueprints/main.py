"""What this service is for: its routes. README.md, "What you change first", has an example of each change."""

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

bp = Blueprint("main", __name__)


@bp.get("/")
def index() -> ResponseReturnValue:
    """Say which service this is."""
    return {"service": current_app.name}


# Your next route goes here. A blueprint can also have:
# - a command, which `.venv/bin/flask main name` runs: @bp.cli.command("name")
# - a function that runs before every request of the service, such as a login: @bp.before_app_request. Let the paths in
#   current_app.extensions["probes"] pass. There, structlog.contextvars.bind_contextvars adds a field to log lines.
# - an answer of its own to an error: @bp.app_errorhandler. An HTTPException with a dictionary `members` needs none.
