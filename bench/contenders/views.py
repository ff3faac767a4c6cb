"""The measured views of a service without the API layer."""

import time

from flask import Blueprint
from flask.typing import ResponseReturnValue

bp = Blueprint("bench", __name__, url_prefix="/bench")


@bp.get("/small")
def small() -> ResponseReturnValue:
    return {"hello": "world"}


@bp.get("/slow")
def slow() -> ResponseReturnValue:
    time.sleep(0.01)
    return {"hello": "world"}
