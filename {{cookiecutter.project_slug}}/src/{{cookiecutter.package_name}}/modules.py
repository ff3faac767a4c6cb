"""The list of what this service starts, in order.

A module is named by its path in the package. It may have:

- ``config(env)``, which returns its settings, as in ``config.py``;
- ``init_app(app)``, which runs once for each application: in the main process, in each worker, in commands, in tests;
- ``bp``, a blueprint, which is registered after that;
- ``ready()``, which raises while the service cannot answer requests. ``/readyz`` calls it.
"""

from importlib import import_module
from types import ModuleType

#: The options that were chosen. Do not write into this list: ``make update`` does, when you change an answer.
CHOSEN: list[str] = [{{ cookiecutter.__modules }}
]

#: Your modules: a new blueprint or extension is a line here. ``make update`` never changes this list.
OWN = [
    "config",
    "blueprints.main",
]


def load() -> list[ModuleType]:
    """Import the modules, in their order."""
    return [import_module(f".{name}", __package__) for name in CHOSEN + OWN]
