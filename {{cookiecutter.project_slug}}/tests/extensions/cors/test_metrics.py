from collections.abc import Callable

from flask import Flask


def test_a_preflight_is_a_request_that_has_ended(make_app: Callable[..., Flask]) -> None:
    client = make_app(CORS_ORIGINS="https://a.example.com").test_client()
    asks = {"Origin": "https://a.example.com", "Access-Control-Request-Method": "POST"}
    assert client.options("/api/v1/notes", headers=asks).status_code == 200
    assert "http_requests_in_progress 1.0\n" in client.get("/metrics").text
