"""Health, as orchestrators ask for it.

``/livez`` says that the process answers and nothing else: a database that is away is no reason to
restart. ``/readyz`` says whether requests can be served now and names what is in the way.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from flask import Blueprint, Flask, current_app
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from .settings import Env

bp = Blueprint("health", __name__)


def config(env: "Env") -> dict[str, Any]:
    return {"READY_TIMEOUT": env.number("READY_TIMEOUT", 2.0, minimum=0.1, maximum=60)}


@bp.record
def collect(state: BlueprintSetupState) -> None:
    """Take the ``ready()`` of every extension that has one."""
    state.app.extensions["probes"] |= {"/livez", "/readyz"}
    state.app.extensions["health"] = {
        (name := module.__name__.rpartition(".")[2]): Check(name, module.ready)
        for module in state.app.extensions["modules"]
        if hasattr(module, "ready")
    }


@bp.get("/livez")
def livez() -> ResponseReturnValue:
    return {"status": "ok"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    checks: dict[str, Check] = app.extensions["health"]
    running = {name: check.start(app) for name, check in checks.items()}
    deadline = monotonic() + app.config["READY_TIMEOUT"]
    results = {name: _outcome(future, deadline - monotonic()) for name, future in running.items()}
    ready = all(result == "ok" for result in results.values())
    return {"status": "ok" if ready else "unavailable", "checks": results}, 200 if ready else 503


class Check:
    """A ``ready()`` that runs in a thread of its own: one that hangs is left behind, and not started again."""

    def __init__(self, name: str, ready: Callable[[], object]) -> None:
        self.name = name
        self.ready = ready
        self.future: Future[None] | None = None
        self.lock = Lock()

    def start(self, app: Flask) -> Future[None]:
        with self.lock:
            if self.future is None or self.future.done():
                future: Future[None] = Future()
                Thread(target=self._run, args=(app, future), name=f"ready-{self.name}", daemon=True).start()
                self.future = future  # Not before: a thread that cannot be started would never be done.
            return self.future

    def _run(self, app: Flask, future: Future[None]) -> None:
        try:
            with app.app_context():
                self.ready()
        except BaseException as error:  # noqa: BLE001 (whatever it is, the service is not ready)
            structlog.get_logger().warning("not_ready", check=self.name, exc_info=error)
            future.set_exception(error)
        else:
            future.set_result(None)


def _outcome(future: Future[None], timeout: float) -> str:
    try:
        error = future.exception(max(timeout, 0))
    except TimeoutError:
        return "timed out"
    if isinstance(error, HTTPException):  # Like ``abort``, it says what everybody may know.
        return str(error.description)
    return "unavailable" if error else "ok"
