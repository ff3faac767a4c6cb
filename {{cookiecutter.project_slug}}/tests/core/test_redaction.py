import json
import sys
from collections.abc import Callable

import pytest
import structlog
from flask import Flask

LOGGED = {
    "password": "planted",
    "user_password": "planted",
    "api-key": "planted",
    "Authorization": "Basic planted",
    "nested": {"list": [{"access_token": "planted", "name": "kept"}], "cookies": {"a": "planted"}},
    "url": "amqp://user:planted@host/kept",
    "dsn": "host=kept password=planted dbname=kept",
    "request": "GET /kept?token=planted&page=kept",
    "repr": "{'secret': 'planted', 'name': 'kept'}",
    "json": '{"client_secret": "planted", "name": "kept"}',
    "header": "Authorization: Bearer planted",
    "bearer": "sent Bearer planted.planted.planted, kept",
    "harmless": "kept: the token was wrong, mail to kept@example.com",
    "bare_token": None,
}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_are_taken_out(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    make_app(LOG_FORMAT=log_format)
    structlog.get_logger().info("kept", **LOGGED)
    logged = capsys.readouterr().err
    assert "planted" not in logged
    assert logged.count("kept") == str(LOGGED).count("kept") + 1
    assert "kept: the token was wrong, mail to kept@example.com" in logged


def test_what_is_no_secret_stays(make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]) -> None:
    make_app()
    harmless = {"path": "/tokens/7", "author": "a@example.com", "password_set": True, "odd": "\ud800", "big": 2**70}
    structlog.get_logger().info("token_refreshed", **harmless)
    line = json.loads(capsys.readouterr().err)
    assert line | harmless == line
    assert line["event"] == "token_refreshed"


@pytest.mark.parametrize(
    ("name", "setting", "secret"),
    [
        ("SECRET_KEY", 'a "quoted" key', 'a "quoted" key'),
        ("UPSTREAM_URL", "https://user:p%40ssword@host", "p@ssword"),
        ("UPSTREAM_URL", "https://user:p%40ssword@host", "p%40ssword"),
        ("UPSTREAM_HEADERS", "x-tenant=7,authorization=Bearer%20planted%3Dtext", "planted=text"),
        ("UPSTREAM_HEADERS", "authorization=Bearer planted-text, x-tenant=7", "planted-text"),
        ("UPSTREAM_HEADERS", "x-tenant=7, x-honeycomb-team=planted%3Dtext", "planted%3Dtext"),
    ],
)
def test_the_secrets_of_the_service_itself(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str], name: str, setting: str, secret: str
) -> None:
    make_app(**{name: setting})
    structlog.get_logger().info("sent", words=f"with {secret} to all")
    assert json.loads(capsys.readouterr().err)["words"] == "with [redacted] to all"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_in_tracebacks(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False, LOG_FORMAT=log_format)
    password = "planted"

    def bug() -> str:
        raise RuntimeError(f"no answer from amqp://user:{password}@host")

    app.add_url_rule("/bug", view_func=bug)
    app.test_client().get("/bug").close()
    logged = capsys.readouterr().err
    assert "RuntimeError: no answer from amqp://user:[redacted]@host" in logged
    assert "planted" not in logged


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_what_is_too_deep_to_look_into(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    make_app(LOG_FORMAT=log_format)
    value: object = {"password": "planted"}
    for _ in range(sys.getrecursionlimit() // 2 - 200):
        value = [value]
    structlog.get_logger().info("deep", value=value)
    logged = capsys.readouterr().err
    assert "deep" in logged
    assert "planted" not in logged
