"""A digest, ordered once: POST takes an ``Idempotency-Key``."""

from flask import Flask

from .....extensions.api.idempotency import idempotent
from .store import create_digest


def init_app(app: Flask) -> None:
    app.view_functions["digests.create_digest"] = idempotent()(create_digest)
