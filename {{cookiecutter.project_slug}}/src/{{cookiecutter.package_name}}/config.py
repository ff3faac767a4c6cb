"""Configuration: one plain dictionary, read from the environment and validated once.

What is passed to ``create_app`` overrides the environment, which overrides ``.env`` (read in
development only), which overrides the defaults. https://12factor.net/config
"""

import os
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from flask.helpers import get_debug_flag

from . import extensions, logs, middleware, request, server
from .blueprints import health, main
from .env import Env


def load(overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read and validate the settings of the service and of its extensions.

    :param overrides: values that override those of the environment. Names that are no settings of this
        service, such as Flask's own, are taken as they are.
    :raises ConfigError: naming every setting that is missing or wrong.
    """
    overrides = dict(overrides or {})
    env = Env(ChainMap(overrides, dict(os.environ)))
    config = {
        "APP_ENV": env.name,
        "TESTING": env.name == "testing",
        "SECRET_KEY": env.secret("SECRET_KEY"),
    }
    # A module with settings stands here or in ``extensions``.
    for module in (logs, request, middleware, server, health, main, *extensions.load()):
        if hasattr(module, "config"):
            config |= module.config(env)
    if env.production and (overrides.get("DEBUG") or get_debug_flag()):
        env.refuse("FLASK_DEBUG", "Must be unset in production: it shows the source code to everybody.")
    env.check()
    return config | {name: value for name, value in overrides.items() if name not in env.read}
