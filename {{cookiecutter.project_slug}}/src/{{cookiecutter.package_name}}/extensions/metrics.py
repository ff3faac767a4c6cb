"""Metrics for Prometheus: how many requests, and how long they take, by route.

``/metrics`` asks for ``METRICS_TOKEN`` as a bearer token; without one, which production refuses, it
answers this machine alone. Worker processes share values in files, of which each service of a process has its own.
https://prometheus.github.io/client_python/multiprocess/
"""

import os
import re
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache, lru_cache, partial
from hmac import compare_digest
from multiprocessing.util import Finalize
from pathlib import Path
from platform import python_version
from shutil import rmtree
from tempfile import mkdtemp
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

import prometheus_client
from flask import Blueprint, Flask, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from werkzeug.datastructures import WWWAuthenticate

from ..core.server import serving
from ..core.settings import ConfigError
from .version import installed_version

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from ..core.settings import Env

#: Other methods are counted together: clients can send any word as one.
METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
#: Upper bounds in seconds; each is about twice the one before, from a view that reads a cache to one that hangs.
BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
#: What the files of this service end with, after the number of a process.
SERVICE = __name__.partition(".")[0].replace("_", "-")

bp = Blueprint("metrics", __name__)


def config(env: "Env") -> dict[str, Any]:
    token = env.secret("METRICS_TOKEN") if env.production else env.text("METRICS_TOKEN", "")
    # https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    if not re.fullmatch("[A-Za-z0-9._~+/-]*=*", token):
        env.refuse("METRICS_TOKEN", "Only letters, digits and . _ ~ + / - can be sent as a bearer token.")
    # ``share`` sets it, or the program that started this process.
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder and not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        env.refuse("PROMETHEUS_MULTIPROC_DIR", "Must be unset, or a folder that can be written.")
    return {"METRICS_TOKEN": token}


def init_app(app: Flask) -> None:
    app.extensions["metrics"] = registry = CollectorRegistry()
    gauge = partial(Gauge, registry=registry, multiprocess_mode="livesum")
    gauge("service_workers", "Worker processes that are alive.").set(1)
    gauge("service_threads", "Requests that they can answer at the same time.").set(app.config["WEB_THREADS"])
    Counter("service_workers_started", "Worker processes that were started.", registry=registry).inc()
    info = gauge("service_info", "What runs.", ["version", "python"], multiprocess_mode="livemax")
    # Set at the first scrape, because looking up the version would slow the start.
    app.extensions["measures"] = [lambda: info.labels(installed_version() or "unknown", python_version()).set(1)]
    in_progress = gauge("http_requests_in_progress", "Requests that are being answered, the one that asks included.")
    requests = Counter("http_requests", "Requests.", ["method", "route", "status"], registry=registry)
    name, text = "http_request_duration_seconds", "Seconds until a response was sent."
    durations = Histogram(name, text, ["method", "route"], registry=registry, buckets=BUCKETS)
    layer = app.extensions["middleware"]
    inner: Callable[..., Iterable[bytes]] = layer.wsgi_app

    # ``labels`` is the expensive part of counting. Its values are bounded: routes and not paths, known methods only.
    @lru_cache(1000)
    def of(method: str, route: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
        method = method if method in METHODS else "other"
        return requests.labels(method, route, status).inc, durations.labels(method, route).observe

    def begin(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        in_progress.inc()
        return inner(environ, start_response)

    def end(method: str, route: str, status: int, seconds: float) -> None:
        in_progress.dec()
        count, observe = of(method, route, status)
        count()
        observe(seconds)

    layer.wsgi_app = begin
    layer.observers.append(end)
    app.extensions["probes"].add("/metrics")
    serving.connect(share, app)


class _Own:
    """A metric with values of this service alone: prometheus_client has one class of values for the process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with _making:
            folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
            values.ValueClass = _in_files(folder) if folder else values.MutexValue
            super().__init__(*args, **kwargs)


class Counter(_Own, prometheus_client.Counter):
    """``prometheus_client.Counter``; its registry is ``app.extensions["metrics"]``."""


class Gauge(_Own, prometheus_client.Gauge):
    """``prometheus_client.Gauge``; its registry is ``app.extensions["metrics"]``."""


class Histogram(_Own, prometheus_client.Histogram):
    """``prometheus_client.Histogram``; its registry is ``app.extensions["metrics"]``."""


# One for all services of the process.
_making = vars(values).setdefault("making", Lock())


@cache
def _in_files(folder: str) -> Callable[..., object]:
    """Make values in files of the folder, one for each name and its labels: two would overwrite each other."""
    return lru_cache(None)(values.MultiProcessValue(lambda: f"{os.getpid()}.{SERVICE}"))  # type: ignore[no-untyped-call]


def measure(app: Flask, function: Callable[[], object]) -> None:
    """Set gauges when this process is scraped, to values that only this process knows, such as the size of a cache.

    One worker answers a scrape. For each other worker it answers the values of that worker's own last scrape.
    """
    function()
    app.extensions["measures"].append(function)


def share(app: Flask, **_: object) -> None:
    """Make the folder through which worker processes share their values; it is removed when the server ends."""
    try:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder = mkdtemp(prefix="metrics-")
    except OSError:
        raise ConfigError("TMPDIR: Must be a folder that can be written, and so must /tmp if it is unset.") from None
    # Forked workers call functions of ``atexit`` as well: a worker that ends would remove the folder of the others.
    Finalize(None, rmtree, args=(folder, True), exitpriority=1)


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Answer in Prometheus's text format."""
    if not _allowed():
        abort(401, www_authenticate=WWWAuthenticate("bearer"))
    for function in current_app.extensions["measures"]:
        function()
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    registry = _AllWorkers(Path(folder)) if folder else current_app.extensions["metrics"]
    try:
        figures = generate_latest(registry)
    except struct.error:  # A worker that is starting has made its file at this moment, and not yet filled it.
        sleep(0.02)
        figures = generate_latest(registry)
    return Response(figures, content_type=CONTENT_TYPE_LATEST)


def _allowed() -> bool:
    if token := current_app.config["METRICS_TOKEN"]:
        given = request.authorization
        return bool(given and given.type == "bearer" and compare_digest((given.token or "").encode(), token.encode()))
    return request.remote_addr in ("127.0.0.1", "::1")


class _AllWorkers(NamedTuple):
    """What the workers count of this service, added up."""

    folder: Path

    def collect(self) -> "Iterable[Metric]":
        # No server has a hook for killed workers, so a scrape removes their gauges.
        for process in {path.stem.rpartition("_")[2] for path in self.folder.glob(f"gauge_live*.{SERVICE}.db")}:
            try:
                os.kill(int(process.partition(".")[0]), 0)
            except OSError:
                with suppress(FileNotFoundError):  # Another worker, which is scraped as well, was faster.
                    mark_process_dead(process, self.folder)  # type: ignore[no-untyped-call]
        files = [str(path) for path in self.folder.glob(f"*.{SERVICE}.db")]
        return MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call, no-any-return]
