"""The production server: its settings, in words that fit any server, and the command that starts it.

``python -m`` this package ``serve`` checks the configuration once, before any worker starts.
"""

import os
import signal
import sys
from importlib import import_module
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import click
import structlog
from blinker import Namespace
from flask import Flask, current_app
from flask.cli import with_appcontext

if TYPE_CHECKING:
    from .settings import Env

#: Sent once by ``serve``, in the main process and before its first worker, with the application as
#: the sender and ``address`` (str) and ``workers`` (int).
serving = Namespace().signal("serving")

#: Open connections of a worker, idle ones included; further ones wait.
CONNECTIONS = 1024


def config(env: "Env") -> dict[str, Any]:
    host = env.text("HOST", "0.0.0.0" if env.production else "127.0.0.1")  # noqa: S104
    if not _is_address(host):
        env.refuse("HOST", "Must be an IP address. For example: HOST=127.0.0.1")
    return {
        "HOST": host,
        "PORT": env.integer("PORT", 8000, minimum=1, maximum=65535),
        # Processes use several cores; threads wait for databases and other services.
        "WEB_WORKERS": env.integer("WEB_WORKERS", 2, minimum=1, maximum=64),
        "WEB_THREADS": env.integer("WEB_THREADS", 8, minimum=1, maximum=256),
        "WEB_BACKLOG": env.integer("WEB_BACKLOG", 2048, minimum=128, maximum=65535),
        # Seconds; above the time for which the proxy keeps idle connections.
        "IDLE_TIMEOUT": env.integer("IDLE_TIMEOUT", 30, minimum=1, maximum=3600),
        # Seconds; below the grace period of whatever stops the service.
        "STOP_TIMEOUT": env.integer("STOP_TIMEOUT", 25, minimum=1, maximum=3600),
    }


def init_app(app: Flask) -> None:
    app.cli.add_command(serve)


@click.command
@with_appcontext
def serve() -> None:
    """Run the production server until it is told to stop."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    # Every worker makes its own application; a secret that was made up has to be the same in all.
    os.environ["SECRET_KEY"] = app.config["SECRET_KEY"]
    host = f"[{app.config['HOST']}]" if ":" in app.config["HOST"] else app.config["HOST"]
    # A worker inherits handlers that only take note of a signal, so until it serves it could not be stopped.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    serving.send(app, address=f"http://{host}:{app.config['PORT']}", workers=app.config["WEB_WORKERS"])
    app.extensions["server"](app.config)


def load() -> Flask:
    """Make the application of a worker process; a failure, once it is logged, ends the worker with status 3."""
    # The package that this one is in: the service.
    create_app = import_module(__name__.rpartition(".core.")[0]).create_app

    try:
        app: Flask = create_app()
    except Exception:  # noqa: BLE001 (whatever it is, it ends the worker)
        structlog.get_logger().exception("worker_failed")
        sys.exit(3)
    return app


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
