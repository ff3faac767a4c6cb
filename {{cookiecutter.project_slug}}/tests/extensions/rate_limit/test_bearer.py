from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from flask import Flask, request


def test_each_token_has_requests_of_its_own(probe: Callable[..., Flask], package: ModuleType) -> None:
    app = probe("extensions.api", "extensions.rate_limit", "extensions.rate_limit.api")
    bearer = import_module(".extensions.api.bearer", package.__name__)
    operation: Any = import_module(".extensions.api.contract", package.__name__).operation
    limits = import_module(".extensions.rate_limit", package.__name__)
    bearer.readers(app).append(lambda token: bearer.Caller(token, frozenset()))

    def answer() -> dict[str, str]:
        """Answer."""
        return {"method": request.method}

    app.add_url_rule("/api/v1/x", "x", operation(scopes=[], errors=[429])(limits.rate_limit("1/hour")(answer)))
    client = app.test_client()
    asked = ["first", "first", "second"]
    statuses = [client.get("/api/v1/x", headers={"Authorization": f"Bearer {token}"}).status_code for token in asked]
    assert statuses == [200, 429, 200]
