"""The connections of the pool, for Prometheus: how many there are, are in use, and may be.

https://docs.sqlalchemy.org/en/21/core/pooling.html
"""

from functools import partial
from typing import Any

from flask import Flask

from ..metrics import measure
from . import database_unavailable, db

FIGURES = {
    "in_use": "Connections that are in use.",
    "idle": "Connections that are open, and not in use.",
    "overflow": "Connections that are open beyond the size, and closed after use.",
    "size": "Connections that are kept open.",
    "max": "Connections that there may be: the size, and the overflow that is allowed.",
}
UNAVAILABLE = "Requests that were answered 503: the database was away, or all connections were busy."


def init_app(app: Flask) -> None:
    from prometheus_client import Counter, Gauge

    registry = app.extensions["metrics"]
    answers = Counter("database_unavailable", UNAVAILABLE, ["reason"], registry=registry)
    by_reason = {reason: answers.labels(reason) for reason in ("away", "busy")}
    database_unavailable.connect(lambda sender, reason: by_reason[reason].inc(), app, weak=False)
    gauge = partial(Gauge, registry=registry, multiprocess_mode="livesum")
    gauges = [gauge(f"database_pool_{name}", text) for name, text in FIGURES.items()]
    with app.app_context():
        engine = db.engine

    def read() -> None:
        pool: Any = engine.pool  # An engine that was disposed of has a new one.
        most = pool.size() + app.config["SQLALCHEMY_ENGINES"]["default"]["max_overflow"]
        figures = pool.checkedout(), pool.checkedin(), max(pool.overflow(), 0), pool.size(), most
        for gauge, figure in zip(gauges, figures, strict=True):
            gauge.set(figure)

    measure(app, read)
