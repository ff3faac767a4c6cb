"""Health, as orchestrators ask for it.

``/livez`` says that the process answers and nothing else: a database that is away is no reason to restart. ``/readyz``
says whether requests can be served now, and names what is in the way: the ``ready()`` of each module of ``modules.py``.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from collections.abc import Callable
from threading import Thread
from time import monotonic
from typing import Any

import structlog
from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue
from structlog.contextvars import bind_contextvars
from werkzeug.exceptions import HTTPException

from .settings import Env

bp = Blueprint("health", __name__)


def config(env: Env) -> dict[str, Any]:
    return {"READY_TIMEOUT": env.number("READY_TIMEOUT", 2.0, minimum=0.1, maximum=60)}


def init_app(app: Flask) -> None:
    app.extensions["probes"] |= {"/livez", "/readyz"}


@bp.get("/livez")
def livez() -> ResponseReturnValue:
    return {"status": "ok"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    threads, results = app.extensions.setdefault("health", ({}, {}))
    for module in app.extensions["modules"]:
        name = module.__name__.rpartition(".")[2]
        # Each ``ready()`` runs in a thread of its own. One that hangs is left behind, and not started again until it
        # ends: otherwise each probe would block one more thread of the server.
        if hasattr(module, "ready") and not (name in threads and threads[name].is_alive()):
            thread = Thread(target=_check, args=[app, name, module.ready, results], daemon=True)
            thread.start()
            threads[name] = thread
    mine, deadline = dict(threads), monotonic() + app.config["READY_TIMEOUT"]
    for thread in mine.values():
        thread.join(max(deadline - monotonic(), 0))
    checks = {name: "timed out" if thread.is_alive() else results[name] for name, thread in mine.items()}
    ready = set(checks.values()) <= {"ok"}
    return {"status": "ok" if ready else "unavailable", "checks": checks}, 200 if ready else 503


def _check(app: Flask, name: str, ready: Callable[[], object], results: dict[str, str]) -> None:
    bind_contextvars(service=app.name)
    try:
        with app.app_context():
            ready()
        results[name] = "ok"
    except BaseException as error:  # noqa: BLE001 (whatever it is, the service is not ready)
        structlog.get_logger().warning("not_ready", check=name, exc_info=error)
        # An HTTPException says, like ``abort``, what everybody may know.
        results[name] = str(error.description) if isinstance(error, HTTPException) else "unavailable"
