"""The application factory: everything that this service consists of, in the order in which it starts."""

from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import config as configuration
from . import errors, extensions, json_provider, logs, middleware, request, server
from .blueprints import health, main


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make one application; any number of them live side by side in a process.

    :param config: settings that override those of the environment.
    :raises ConfigError: naming every setting that is missing or wrong.
    """
    app = Flask(__name__, static_folder=None)
    app.config.from_mapping(configuration.load(config))
    app.json = json_provider.Provider(app)
    logs.init_app(app)
    errors.init_app(app)
    request.init_app(app)
    middleware.init_app(app)
    server.init_app(app)
    for extension in extensions.load():
        extension.init_app(app)
    app.register_blueprint(health.bp)
    # The next blueprint goes here.
    app.register_blueprint(main.bp)
    return app
