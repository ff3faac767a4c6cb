"""Mails that a worker sends."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.exceptions import ServiceUnavailable

Make = Callable[..., Flask]
MODULES = ["extensions.celery", "extensions.email", "extensions.email.celery"]


@pytest.fixture
def app(make_mailing: Make) -> Flask:
    return make_mailing(*MODULES)


def test_a_request_has_a_worker_send(app: Flask, jobs_of: Any) -> None:
    assert app.test_client().post("/greetings?name=Zoë", headers={"X-Request-ID": "asked"}).status_code == 200
    assert app.extensions["email"].outbox == []
    (sent,) = jobs_of(app).run()
    assert sent.name == "email.deliver"
    assert sent.headers["request_id"] == "asked"
    (message,) = app.extensions["email"].outbox
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Greetings")
    assert message.get_body(("plain",)).get_content() == "Hello Zoë, at /greetings\n"
    assert message.get_body(("html",)).get_content() == "<p>Hello <b>Zoë</b></p>\n"


@pytest.mark.parametrize("query", ["raise", "abort", "status=500"])
def test_a_view_that_fails_sends_no_job(query: str, app: Flask, jobs_of: Any) -> None:
    app.test_client().post(f"/greetings?{query}")
    assert jobs_of(app).sent == []


def test_a_broker_that_is_away_is_an_answer(app: Flask) -> None:
    def refuse(*_: object) -> None:
        raise ServiceUnavailable("The queue of jobs is unavailable.", retry_after=5)

    app.extensions["jobs"].hand_over = refuse
    response = app.test_client().post("/greetings")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.get_json()["title"] == "Service Unavailable"


def test_a_command_sends_at_once(app: Flask, jobs_of: Any, email: ModuleType) -> None:
    with app.app_context():
        email.send("ada@example.com", "Greetings", "trial/plain", name="Ada")
    assert len(app.extensions["email"].outbox) == 1
    assert jobs_of(app).sent == []


def test_a_server_that_is_away_is_asked_again(make_mailing: Make, jobs_of: Any, email: ModuleType, port: int) -> None:
    app = make_mailing(*MODULES, MAIL_HOST="127.0.0.1", MAIL_PORT=port)
    app.test_client().post("/greetings")
    with pytest.raises(email.MailError, match="ConnectionRefusedError") as failure:
        jobs_of(app).run()
    assert "ada" not in str(failure.value)


def test_what_the_server_refuses_is_not_sent_again(
    make_mailing: Make, jobs_of: Any, mail_server: Callable[..., Any]
) -> None:
    server = mail_server()
    server.answers["RCPT"] = "550 <ada@example.com> is unknown"
    app = make_mailing(*MODULES, MAIL_HOST="127.0.0.1", MAIL_PORT=server.port, MAIL_TLS="none")
    app.test_client().post("/greetings")
    with capture_logs() as lines:
        jobs_of(app).run()
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert (line["event"], line["reason"]) == ("mail_failed", "SMTPRecipientsRefused: 550")
    assert "ada@" not in json.dumps(lines)
