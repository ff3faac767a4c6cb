"""A digest, ordered once: POST takes an ``Idempotency-Key``. What to delete: this module, and its line in ``modules.py``."""

from flask import Flask

from .....extensions.api.idempotency import idempotent
from .store import create_digest


def init_app(app: Flask) -> None:
    app.view_functions["digests.create_digest"] = idempotent()(create_digest)
