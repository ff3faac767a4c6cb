"""The extensions of this service, in the order in which they start."""

from importlib import import_module
from types import ModuleType

#: Modules, by their paths in the package. Each has ``init_app(app)``, and may have ``config(env)``, which
#: returns its settings, and ``ready()``, which raises while what it needs outside is away.
EXTENSIONS: list[str] = [
{% for name, option in cookiecutter._options.items() if name in cookiecutter.__chosen.split() %}
{% for module in option.get('modules', []) if not (module.split('.') | select('in', cookiecutter._options) | reject('in', cookiecutter.__chosen.split()) | list) %}
    "{{ module }}",
{% endfor %}
{% endfor %}
    # Your own go here.
]


def load() -> list[ModuleType]:
    """Import the modules of the list, in its order."""
    return [import_module(f"..{name}", __name__) for name in EXTENSIONS]
