"""Operations: their callers have limits, and their contract tells of 429."""

import json
from collections.abc import Callable
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from flask import Blueprint, Flask, request


def test_callers_have_limits_of_their_own(probe: Callable[..., Flask], package: ModuleType, rate_limit: Any) -> None:
    contract = import_module(".extensions.api.contract", package.__name__)
    security = import_module(".extensions.api.security", package.__name__)
    app = probe("extensions.api", "extensions.rate_limit", "extensions.rate_limit.api")
    readers = security.scheme(app, "bearer", {"type": "http", "scheme": "bearer"})
    readers.append(lambda: request.authorization and SimpleNamespace(subject=request.authorization.token, scopes=()))
    bp = Blueprint("orders", "orders", url_prefix="/api/v1")

    def orders() -> dict[str, int]:
        return {"orders": 1}

    view = contract.operation(security="bearer")(rate_limit.rate_limit("1/day")(orders))
    bp.get("/orders")(view)
    app.register_blueprint(bp)
    client = app.test_client()

    def ask(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return client.get("/api/v1/orders", headers=headers).status_code

    assert [ask(token) for token in ("ada", "bea", "ada", "bea", "")] == [200, 200, 429, 429, 401]
    document = json.loads(client.get("/api/v1/openapi.json").text)
    assert "429" in document["paths"]["/api/v1/orders"]["get"]["responses"]
