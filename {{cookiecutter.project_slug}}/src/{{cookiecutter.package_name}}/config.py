"""The settings of this service itself; each extension has its own in its module.

A setting comes from ``create_app(config)``, else from the environment, else (in development) from ``.env``, else from
its default. https://12factor.net/config
"""

from typing import Any

from .core.settings import Env


def config(env: Env) -> dict[str, Any]:
    """Read the settings; ``current_app.config`` then has them.

    ``env`` reads ``text``, ``integer``, ``number``, ``flag``, ``names`` and ``secret``, and collects what is wrong.
    """
    return {
        # Your settings go here, and into .env.example: "GREETING": env.text("GREETING", "hello"),
    }
