"""The application, for servers that want an object and not a factory: the one module that makes it when imported."""

from . import create_app

app = create_app()
