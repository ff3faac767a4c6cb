"""The settings of this service itself; each extension has its own settings in its module.

The value of a setting comes from ``create_app(config)``, or else from the environment, or else (in development) from
``.env``, or else it is the default. https://12factor.net/config
"""

from typing import Any

from .core.settings import Env


def config(env: Env) -> dict[str, Any]:
    """Read the settings into ``current_app.config``.

    ``env`` reads ``text``, ``integer``, ``number``, ``flag`` and ``secret``, and collects what is wrong.
    """
    return {
        # Your settings go here, and into .env.example: "GREETING": env.text("GREETING", "hello"),
        # Headers of every response, for example for HTML pages: "RESPONSE_HEADERS": {"Content-Security-Policy": "..."},
    }
