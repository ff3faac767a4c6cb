from collections.abc import Callable
from typing import Any

from flask import Flask


def test_pages_may_read_what_is_left(probe: Callable[..., Flask]) -> None:
    modules = ["extensions.api", "extensions.cors", "extensions.cors.rate_limit", "extensions.rate_limit"]
    settings: Any = {"CORS_ORIGINS": "https://a.example.com", "RATE_LIMIT": "1/hour"}
    client = probe(*modules, **settings).test_client()
    for status in (200, 429):
        response = client.get("/api/v1/openapi.json", headers={"Origin": "https://a.example.com"})
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == "https://a.example.com"
        assert "RateLimit" in response.headers["Access-Control-Expose-Headers"].split(", ")
