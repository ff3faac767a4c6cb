"""Notes, created once: POST takes an ``Idempotency-Key``. In a view of your own, write ``@idempotent()`` above
``@operation()``.
"""

from flask import Flask

from ....extensions.api.idempotency import idempotent
from .store import create_note


def init_app(app: Flask) -> None:
    app.view_functions["notes.create_note"] = idempotent()(create_note)
