"""Metrics for Prometheus: how many requests, and how long they take, by route; what the processes use.

``/metrics`` asks for ``METRICS_TOKEN`` as a bearer token; without one, which production refuses, it
answers this machine alone. https://prometheus.github.io/client_python/
"""

import atexit
import os
import re
from collections.abc import Callable, Iterable
from hmac import compare_digest
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog
from flask import Blueprint, Flask, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import WWWAuthenticate

from ...core.server import serving
from .processes import Scrape, mark_main_process, remove_abandoned

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from ...core.settings import Env

#: Other methods are counted together: clients can send any word as one.
METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
#: Upper bounds in seconds; each is about twice the one before, from a view that reads a cache to one that hangs.
BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
#: Where files are memory: on a slow disk, counting would wait for it.
MEMORY = "/dev/shm"  # noqa: S108

bp = Blueprint("metrics", __name__)


def config(env: "Env") -> dict[str, Any]:
    token = env.secret("METRICS_TOKEN") if env.production else env.text("METRICS_TOKEN", "")
    # https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    if not re.fullmatch("[A-Za-z0-9._~+/-]*=*", token):
        env.refuse("METRICS_TOKEN", "Only letters, digits and . _ ~ + / - can be sent as a bearer token.")
    return {"METRICS_TOKEN": token}


def init_app(app: Flask) -> None:
    # Imported here, because these read the process environment.
    from prometheus_client import CollectorRegistry, Counter, values

    # Workers share their figures through files, if ``serve`` has made a folder for them.
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
    app.extensions["metrics"] = registry = CollectorRegistry()
    app.extensions["measures"] = []
    Counter("service_workers_started", "Worker processes that were started.", registry=registry).inc()
    observer = Observer(registry)
    app.extensions["middleware"].observers.append(observer)
    app.wsgi_app = observer.wrap(app.wsgi_app)  # type: ignore[method-assign]
    measure(app, observer.measure)
    app.extensions["probes"].add("/metrics")
    serving.connect(share, app)
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        Thread(target=_keep_measuring, args=(app,), name="metrics", daemon=True).start()


def measure(app: Flask, function: Callable[[], object]) -> None:
    """Set gauges to what only their own process can tell, such as the length of a queue that it holds in memory.

    :param function: called now, before each scrape and, as another worker may be the one that is scraped,
        every second. So nothing has to be kept up to date while requests are answered.
    """
    function()
    app.extensions["measures"].append(function)


def share(app: Flask, **_: object) -> None:
    """Make the folder through which worker processes share their figures; it goes when the server ends."""
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder = mkdtemp(prefix="metrics-", dir=memory)
    mark_main_process(Path(folder))
    remove_abandoned(Path(folder).parent.glob("metrics-*"))
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: str, owner: int) -> None:
    # Forked workers come here too when they end, and would take the folder from the others.
    if os.getpid() == owner:
        rmtree(folder, ignore_errors=True)


def _keep_measuring(app: Flask) -> None:
    while True:
        sleep(1)
        for function in app.extensions["measures"]:
            try:
                function()
            except Exception:  # noqa: BLE001 (the others go on)
                structlog.get_logger().exception("not_measured")


class Observer:
    """Counts requests. Label values are bounded: routes and not paths, known methods only."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self.requests = Counter("http_requests", "Requests.", ["method", "route", "status"], registry=registry)
        self.seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds until a response was sent.",
            ["method", "route"],
            registry=registry,
            buckets=BUCKETS,
        )
        self.in_progress = Gauge(
            "http_requests_in_progress",
            "Requests that are being answered, the one that asks included.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        # As long as there are such requests: appending and removing are atomic, and cost less than a gauge.
        self.running: list[None] = []
        # ``labels()`` is the expensive part of counting, so what it returned is kept.
        self.children: dict[tuple[str, str, int], Any] = {}

    def wrap(self, inner: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Wrap an application so that the beginnings of requests are seen; the middleware tells of their ends."""
        running = self.running

        def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            running.append(None)
            try:
                return inner(environ, start_response)
            except BaseException:  # There is no response that could end.
                running.pop()
                raise

        return wsgi_app

    def measure(self) -> None:
        self.in_progress.set(len(self.running))

    def __call__(self, method: str, route: str, status: int, seconds: float) -> None:
        self.running.pop()
        if method not in METHODS:
            method = "other"
        key = (method, route, status)
        if key not in self.children:
            self.children[key] = self.requests.labels(*key).inc, self.seconds.labels(method, route).observe
        count, observe = self.children[key]
        count()
        observe(seconds)


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Answer in Prometheus's text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    if not _allowed():
        abort(401, www_authenticate=WWWAuthenticate("bearer"))
    for function in current_app.extensions["measures"]:
        function()
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    return Response(generate_latest(Scrape(app)), content_type=CONTENT_TYPE_LATEST)


def _allowed() -> bool:
    if token := current_app.config["METRICS_TOKEN"]:
        given = request.authorization
        return bool(given and given.type == "bearer" and compare_digest((given.token or "").encode(), token.encode()))
    return request.remote_addr in ("127.0.0.1", "::1")
