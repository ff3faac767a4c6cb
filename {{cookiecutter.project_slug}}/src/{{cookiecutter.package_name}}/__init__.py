"""The application factory: the parts of this service, in the order in which they start."""

from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import core, modules


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make an application. A process can have several of them.

    :param config: settings that override those of the environment.
    :raises ConfigError: naming every setting that is missing or wrong.
    """
    app = Flask(__name__)
    # What every service needs: settings, logs, errors, security headers, probes, the server.
    core.init_app(app, modules.load(), config)
    # What modules.py lists: the extensions that were chosen, then your own modules.
    for module in app.extensions["modules"]:
        core.start(app, module)
    return app
