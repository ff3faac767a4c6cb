"""The application, for servers that import an object: the only module that makes an application when it is imported."""

from . import create_app

app = create_app()
