"""Events, taken once: POST takes an ``Idempotency-Key``."""

from flask import Flask

from ...extensions.api.idempotency import idempotent
from . import take_events


def init_app(app: Flask) -> None:
    app.view_functions["ingest.take_events"] = idempotent()(take_events)
