"""The connections of the pool, for Prometheus: how many are open, are in use, and may be.

They are counted when they change, so that the figures of each worker are current, even if it is too busy for a scrape.
https://docs.sqlalchemy.org/en/21/core/events.html#connection-pool-events
"""

from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy import event

from ..metrics import Counter, Gauge
from . import database_unavailable, db

UNAVAILABLE = "Requests that were answered 503: the database was away, or all connections were busy."


def init_app(app: Flask) -> None:
    registry = app.extensions["metrics"]
    answers = Counter("database_unavailable", UNAVAILABLE, ["reason"], registry=registry)
    by_reason = {reason: answers.labels(reason) for reason in ("away", "busy")}
    database_unavailable.connect(lambda sender, reason: by_reason[reason].inc(), app, weak=False)
    gauge = partial(Gauge, registry=registry, multiprocess_mode="livesum")
    opened = gauge("database_pool_open", "Connections that are open.")
    in_use = gauge("database_pool_in_use", "Connections that are in use.")
    with app.app_context():
        engine = db.engine
    size, overflow = engine.pool.size(), app.config["SQLALCHEMY_ENGINES"]["default"]["max_overflow"]  # type: ignore[attr-defined]
    gauge("database_pool_size", "Connections that are kept open.").set(size)
    gauge("database_pool_max", "Connections that there may be: the size, and the overflow.").set(size + overflow)
    used: set[Any] = set()

    def checkout(connection: Any, entry: Any, proxy: Any) -> None:
        used.add(entry)
        in_use.inc()

    def checkin(connection: Any, entry: Any) -> None:
        if entry in used:  # Otherwise the connection was broken, could not be opened again, and was not handed out.
            used.remove(entry)
            in_use.dec()

    event.listen(engine, "connect", lambda *_: opened.inc())
    event.listen(engine, "close", lambda *_: opened.dec())
    event.listen(engine, "checkout", checkout)
    event.listen(engine, "checkin", checkin)
