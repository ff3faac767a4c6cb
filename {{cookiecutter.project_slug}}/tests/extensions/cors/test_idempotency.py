from collections.abc import Callable

from flask import Flask


def test_pages_may_repeat_a_post(probe: Callable[..., Flask]) -> None:
    app = probe(
        "extensions.api", "extensions.cors", "extensions.cors.idempotency", CORS_ORIGINS="https://a.example.com"
    )
    asks = {"Origin": "https://a.example.com", "Access-Control-Request-Method": "POST"}
    response = app.test_client().options("/api/v1/notes", headers=asks)
    assert "Idempotency-Key" in response.headers["Access-Control-Allow-Headers"].split(", ")
