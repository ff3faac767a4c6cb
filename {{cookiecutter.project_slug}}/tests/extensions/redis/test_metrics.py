from collections.abc import Callable

from flask import Flask


def test_pool(probe: Callable[..., Flask]) -> None:
    app = probe("extensions.metrics", "extensions.redis", "extensions.redis.metrics", WEB_THREADS=1)

    def figures() -> list[float]:
        lines = dict(line.rsplit(" ", 1) for line in app.test_client().get("/metrics").text.splitlines())
        return [float(lines[f"redis_pool_{name}"]) for name in ("idle", "in_use", "max")]

    most = app.extensions["redis"].connection_pool.max_connections
    assert figures() == [0, 0, most]
    with app.extensions["redis"].pipeline() as pipe:
        pipe.watch("key")
        assert figures() == [0, 1, most]
    assert figures() == [1, 0, most]
