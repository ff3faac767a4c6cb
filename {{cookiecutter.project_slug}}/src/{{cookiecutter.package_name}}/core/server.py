"""The production server: its settings, in words that fit any server, and the command that starts it.

``python -m`` this package ``serve`` checks the configuration once, before any worker starts.
"""

import os
from functools import partial
from importlib import import_module
from ipaddress import ip_address
from typing import Any

import click
from blinker import Namespace
from flask import Flask, current_app
from flask.cli import ScriptInfo, pass_script_info, with_appcontext

from .settings import Env

#: Sent once by ``serve``, when the port is bound and before the first worker starts, with the application as the sender.
serving = Namespace().signal("serving")


def config(env: Env) -> dict[str, Any]:
    host = env.text("HOST", "0.0.0.0" if env.production else "127.0.0.1")  # noqa: S104
    try:
        ip_address(host)
    except ValueError:
        env.refuse("HOST", "Must be an IP address. For example: HOST=127.0.0.1")
    return {
        "HOST": host,
        "PORT": env.integer("PORT", 8000, minimum=1, maximum=65535),
        # Processes use several cores; threads wait for databases and other services.
        "WEB_CONCURRENCY": env.integer("WEB_CONCURRENCY", 2, minimum=1, maximum=64),
        "WEB_THREADS": env.integer("WEB_THREADS", 8, minimum=1, maximum=256),
        # Seconds; above the time for which the proxy keeps idle connections.
        "IDLE_TIMEOUT": env.integer("IDLE_TIMEOUT", 30, minimum=1, maximum=3600),
        # Seconds; below the grace period of whatever stops the service.
        "STOP_TIMEOUT": env.integer("STOP_TIMEOUT", 25, minimum=1, maximum=3600),
    }


def init_app(app: Flask) -> None:
    app.cli.add_command(serve)


@click.command
@pass_script_info
@with_appcontext
def serve(info: ScriptInfo) -> None:
    """Run the production server until it is told to stop."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    # Every worker makes its own application: a generated secret has to be the same in all of them.
    os.environ["SECRET_KEY"] = app.config["SECRET_KEY"]
    # The command line may have its own factory, for example one that combines several services.
    load = info.create_app or import_module(app.import_name).create_app
    app.extensions["server"](app.config, load, partial(serving.send, app))
