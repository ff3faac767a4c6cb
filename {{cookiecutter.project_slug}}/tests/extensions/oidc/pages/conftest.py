"""A bare application with pages, where people sign in at a provider."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture
def make_site(probe: Callable[..., Flask], package: ModuleType) -> Callable[..., Flask]:
    """Make one: ``make_site(**known_site)``."""

    def make(**config: Any) -> Flask:
        app = probe("extensions.pages", "extensions.oidc", "extensions.oidc.pages", **config)
        pages = import_module(".extensions.oidc.pages", package.__name__)

        required: Callable[[Callable[[], str]], Callable[[], str]] = pages.sign_in_required

        @app.get("/mine")
        @required
        def mine() -> str:
            return f"{pages.current_identity.subject} {pages.current_identity.email}"

        return app

    return make


@pytest.fixture
def app(make_site: Callable[..., Flask], known_site: dict[str, str]) -> Flask:
    return make_site(**known_site)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def come_back(client: FlaskClient, provider: Any) -> Callable[..., Any]:
    """Begin to sign in, and come back with what the provider sends: ``come_back(code="x")``, or without a state."""

    def come_back(path: str = "/oidc/sign-in", **sent: Any) -> Any:
        sought = {name: values[0] for name, values in parse_qs(urlsplit(client.get(path).location).query).items()}
        provider.nonce, provider.sought = sought["nonce"], sought
        query = {"state": sought["state"], "code": "a code"} | sent
        told = {name: value for name, value in query.items() if value is not None}
        return client.get("/oidc/callback", query_string=told, headers={"Accept": "text/html"})

    return come_back
