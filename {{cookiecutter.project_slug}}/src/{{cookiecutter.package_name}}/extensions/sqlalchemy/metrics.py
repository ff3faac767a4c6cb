"""The connections of the pools, for Prometheus: how many there are, are in use, and may be.

https://docs.sqlalchemy.org/en/21/core/pooling.html
"""

import sqlalchemy as sa
from flask import Flask

from ..metrics import measure
from . import database_unavailable, db


def init_app(app: Flask) -> None:
    from prometheus_client import Counter, Gauge

    registry = app.extensions["metrics"]

    def gauge(name: str, text: str) -> Gauge:
        return Gauge(f"database_pool_{name}", text, ["pool"], registry=registry, multiprocess_mode="livesum")

    in_use = gauge("in_use", "Connections that are in use.")
    idle = gauge("idle", "Connections that are open, and not in use.")
    overflow = gauge("overflow", "Connections that are open beyond the size, and closed after use.")
    size = gauge("size", "Connections that are kept open.")
    most = gauge("max", "Connections that there may be: the size, and the overflow that is allowed.")
    answers = Counter(
        "database_unavailable",
        "Requests that were answered 503: the database was away, or all connections were busy.",
        ["reason"],
        registry=registry,
    )
    by_reason = {reason: answers.labels(reason) for reason in ("away", "busy")}
    database_unavailable.connect(lambda sender, reason: by_reason[reason].inc(), app, weak=False)

    with app.app_context():
        engines = {key or "write": engine for key, engine in db.engines.items()}

    def read() -> None:
        for name, engine in engines.items():
            # An engine that was disposed of has a new pool. A database in memory has none: it is its one connection.
            if isinstance(pool := engine.pool, sa.QueuePool):
                in_use.labels(name).set(pool.checkedout())
                idle.labels(name).set(pool.checkedin())
                overflow.labels(name).set(max(pool.overflow(), 0))
                size.labels(name).set(pool.size())
                most.labels(name).set(pool.size() + app.config["SQLALCHEMY_ENGINE_OPTIONS"]["max_overflow"])

    measure(app, read)
