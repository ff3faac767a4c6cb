"""The connections of the pool, for Prometheus."""

from functools import partial

from flask import Flask

from ..metrics import Gauge, measure


def init_app(app: Flask) -> None:
    gauge = partial(Gauge, registry=app.extensions["metrics"], multiprocess_mode="livesum")
    kept = gauge("redis_pool_idle", "Connections to Redis that are kept, and are not in use.")
    used = gauge("redis_pool_in_use", "Connections to Redis that are in use.")
    pool = app.extensions["redis"].connection_pool
    gauge("redis_pool_max", "Connections to Redis that there may be.").set(pool.max_connections)

    def count() -> None:
        (idle, _), (in_use, _) = pool.get_connection_count()
        kept.set(idle)
        used.set(in_use)

    measure(app, count)
