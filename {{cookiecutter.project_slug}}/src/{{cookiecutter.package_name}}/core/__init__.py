"""What every service needs and no owner has to read. It imports nothing of the service outside this folder."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from flask import Flask
from structlog.contextvars import bound_contextvars

from . import errors, health, logs, middleware, requests, server, settings

#: In the order in which they start.
LAYERS = [logs, errors, requests, middleware, health, server]


def init_app(app: Flask, modules: Sequence[ModuleType] = (), config: Mapping[str, Any] | None = None) -> None:
    """Read the settings of all modules into ``app.config``, and start the layers that every service has.

    :param modules: those that ``start`` starts later: their settings are read, and ``/readyz`` asks their ``ready()``.
    :param config: settings that override those of the environment.
    :raises ConfigError: naming every setting that is missing or wrong.
    """
    app.config.from_mapping(settings.load([*LAYERS, *modules], config))
    # Probes are paths that machines ask again and again, and by the address of this process: health checks, metrics.
    app.extensions |= {"modules": list(modules), "probes": set()}
    for layer in LAYERS:
        start(app, layer)


def start(app: Flask, module: ModuleType) -> None:
    """Start a module: its ``init_app``, then its blueprint."""
    if hasattr(module, "init_app"):
        with bound_contextvars(service=app.name):
            module.init_app(app)
    if hasattr(module, "bp"):
        app.register_blueprint(module.bp)
