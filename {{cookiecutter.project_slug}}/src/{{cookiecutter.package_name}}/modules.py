"""The modules that this service starts, in order: the one list.

A module is named by its path in the package. It may have ``config(env)``, which returns its settings;
``init_app(app)``; ``bp``, a blueprint; and ``ready()``, which raises while something that it needs is away.
"""

from importlib import import_module
from types import ModuleType

#: What was chosen when the service was generated. ``make update`` adds and removes lines here.
CHOSEN: list[str] = [
{% for name, option in cookiecutter._options.items() if name in cookiecutter.__chosen.split() %}
{% for module in option.get('modules', []) if not (module.split('.') | select('in', cookiecutter._options) | reject('in', cookiecutter.__chosen.split()) | list) %}
    "{{ module }}",
{% endfor %}
{% endfor %}
]

#: Your own. A new blueprint, or an extension of your own, is a line here; ``make update`` never changes this list.
OWN = [
    "config",
    "blueprints.main",
]


def load() -> list[ModuleType]:
    """Import the modules, in their order."""
    return [import_module(f".{name}", __package__) for name in CHOSEN + OWN]
