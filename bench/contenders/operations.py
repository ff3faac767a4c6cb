"""The measured views of a service with the API layer: typed, as operations of the contract."""

import time

from flask import Blueprint, Flask
from msgspec import Struct

from .api.contract import operation

bp = Blueprint("bench", __name__, url_prefix="/bench")


class Hello(Struct):
    hello: str


def init_app(app: Flask) -> None:
    app.register_blueprint(bp)


@bp.get("/small")
@operation()
def small() -> Hello:
    return Hello("world")


@bp.get("/slow")
@operation()
def slow() -> Hello:
    time.sleep(0.01)
    return Hello("world")
