"""The measured views of a service with the API layer: typed, as operations of the contract."""

import time
from typing import Any

from flask import Blueprint
from msgspec import Struct

from ..extensions.api.contract import operation

bp = Blueprint("bench", __name__, url_prefix="/bench")


class Hello(Struct):
    hello: str


def config(env: object) -> dict[str, Any]:
    return {"API_VERSIONS": {"/api/v1": "1.0.0", "/bench": "1.0.0"}}


@bp.get("/small")
@operation()
def small() -> Hello:
    return Hello("world")


@bp.get("/slow")
@operation()
def slow() -> Hello:
    time.sleep(0.01)
    return Hello("world")
