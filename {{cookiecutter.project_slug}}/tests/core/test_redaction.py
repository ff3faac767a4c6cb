import gc
import json
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
    "unescaped": "amqp://user:pl@nted@host/kept",
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
def test_secrets_are_taken_out(probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str], log_format: str) -> None:
    probe(LOG_FORMAT=log_format)
    structlog.get_logger().info("kept", **LOGGED)
    logged = capfd.readouterr().err
    assert "planted" not in logged
    assert "nted" not in logged
    assert logged.count("kept") == str(LOGGED).count("kept") + 1
    assert "kept: the token was wrong, mail to kept@example.com" in logged


def test_what_is_no_secret_stays(probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str]) -> None:
    probe()
    harmless = {
        "path": "/tokens/7",
        "author": "a@example.com",
        "password_set": True,
        "tokens": 512,
        "next_page_token": "abc",
        "secretary": "Ann",
        "token_type": "bearer",
        "link": "/notes?page_token=abc",
    }
    structlog.get_logger().info("token_refreshed", **harmless)
    line = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert line | harmless == line
    assert line["event"] == "token_refreshed"


@pytest.mark.parametrize(
    ("name", "setting", "secret"),
    [
        ("SECRET_KEY", 'a "quoted" key', 'a "quoted" key'),
        ("UPSTREAM_URL", "https://user:p%40ssword@host", "p@ssword"),
        ("UPSTREAM_URL", "https://user:p%40ssword@host", "p%40ssword"),
        ("UPSTREAM_HEADERS", "x-tenant=7,authorization=Bearer%20planted-text", "planted-text"),
        ("UPSTREAM_HEADERS", "authorization=Bearer planted-text, x-tenant=7", "planted-text"),
    ],
)
def test_the_secrets_of_the_service_itself(
    probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str], name: str, setting: str, secret: str
) -> None:
    probe(**{name: setting})
    structlog.get_logger().info("sent", words=f"with {secret} to all")
    assert json.loads(capfd.readouterr().err.splitlines()[-1])["words"] == "with [redacted] to all"


def test_two_applications_in_a_process(probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str]) -> None:
    """The secrets of both are taken out, and each line comes once."""
    probe(SECRET_KEY="secret-of-the-first")
    probe(SECRET_KEY="secret-of-the-second")
    structlog.get_logger().info("sent", words="secret-of-the-first, secret-of-the-second")
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "sent" in line]
    assert json.loads(line)["words"] == "[redacted], [redacted]"


def test_applications_that_are_gone_leave_no_secrets(probe: Callable[..., Flask]) -> None:
    sizes = []
    gc.freeze()  # What is there already is not looked through again: in a large service, that takes seconds.
    for _ in range(10):
        gc.collect()
        sizes.append(len(probe().extensions["redaction"].secrets.pattern))
    gc.unfreeze()
    assert max(sizes) < 3 * sizes[0]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_in_tracebacks(probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str], log_format: str) -> None:
    app = probe(PROPAGATE_EXCEPTIONS=False, LOG_FORMAT=log_format)
    password = "planted"

    def bug() -> str:
        raise RuntimeError(f"no answer from amqp://user:{password}@host")

    app.add_url_rule("/bug", view_func=bug)
    app.test_client().get("/bug").close()
    logged = capfd.readouterr().err
    assert "RuntimeError: no answer from amqp://user:[redacted]@host" in logged
    assert "amqp://user:planted" not in logged
