"""A bare application with an operation that asks for a scope."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, g
from flask.testing import FlaskClient

Decorator = Callable[[Callable[..., object]], Callable[..., Response]]


@pytest.fixture
def make_guarded(probe: Callable[..., Flask], package: ModuleType) -> Callable[..., Flask]:
    """Make one: ``make_guarded(OIDC_TOKEN_TYPE="jwt")``."""

    def make(**config: Any) -> Flask:
        app = probe("extensions.api", "extensions.oidc", "extensions.oidc.api", **config)
        operation: Callable[..., Decorator] = import_module(".extensions.api.contract", package.__name__).operation

        @app.get("/api/v1/me")
        @operation(scopes=["notes:read"])
        def read_me() -> str:
            """Say who asks."""
            return str(g.user.subject)

        return app

    return make


@pytest.fixture
def app(make_guarded: Callable[..., Flask], provider: Any) -> Flask:
    return make_guarded(OIDC_ISSUER=provider.issuer, OIDC_AUDIENCE="https://api.example.com")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Nobody: the service's own client has a token."""
    return app.test_client()
