"""The calls to other services, for Prometheus: how many, how long they take, and whose breaker is open."""

from collections.abc import Callable
from time import perf_counter

from flask import Flask

from ..metrics import BUCKETS, Counter, Gauge, Histogram, measure
from . import PeerError


def init_app(app: Flask) -> None:
    registry, clients = app.extensions["metrics"], app.extensions["http_client"]
    calls = Counter(
        "peer_calls", "Calls; status 0 is no answer.", ["peer", "method", "route", "status"], registry=registry
    )
    name, text = "peer_call_duration_seconds", "Seconds until a service had answered, all attempts included."
    durations = Histogram(name, text, ["peer", "method", "route"], registry=registry, buckets=BUCKETS)
    text = "Processes that leave a service alone, because it has failed."
    alone = Gauge("peer_left_alone", text, ["peer"], registry=registry, multiprocess_mode="livesum")

    def begin(peer: str, method: str, route: str, headers: dict[str, str]) -> Callable[[int, PeerError | None], None]:
        started = perf_counter()

        def end(status: int, error: PeerError | None) -> None:
            durations.labels(peer, method, route).observe(perf_counter() - started)
            calls.labels(peer, method, route, status).inc()

        return end

    def count() -> None:
        for peer in clients.peers.values():
            alone.labels(peer.name).set(peer.breaker.open)

    clients.observers.append(begin)
    measure(app, count)
