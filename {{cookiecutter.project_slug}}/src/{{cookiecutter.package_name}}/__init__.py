"""The application factory: everything that this service consists of, in the order in which it starts."""

from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import core, modules


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make one application; any number of them live side by side in a process.

    :param config: settings that override those of the environment.
    :raises ConfigError: naming every setting that is missing or wrong.
    """
    app = Flask(__name__)
    listed = modules.load()
    # Settings, logs, errors, security headers, probes, the server: what every service needs.
    core.init_app(app, listed, config)
    # modules.py lists what follows: extensions, then your blueprints.
    for module in listed:
        core.start(app, module)
    return app
