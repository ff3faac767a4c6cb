"""What a mail server is told, with and without TLS, and what happens if it does not take a mail."""

import socket
import ssl
from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask

Make = Callable[..., Flask]
#: As ``fixtures/email/smtp.py`` makes them.
Start = Callable[..., Any]
Certificate = Callable[[str], ssl.SSLContext]
HOST = {"MAIL_HOST": "127.0.0.1"}


def send(app: Flask, email: ModuleType) -> None:
    with app.app_context():
        email.send("ada@example.com", "Zoë, greetings", "trial/greeting", name="Zoë")


def fail(app: Flask, email: ModuleType) -> str:
    """Send, and return the reason why that failed, which quotes neither the address nor the server."""
    with pytest.raises(email.MailError) as failure:
        send(app, email)
    assert "ada" not in str(failure.value)
    assert failure.value.__suppress_context__
    return str(failure.value.reason)


def test_a_mail_arrives_as_it_was_written(make_mailing: Make, email: ModuleType, mail_server: Start) -> None:
    server = mail_server()
    send(make_mailing(MAIL_PORT=server.port, MAIL_TLS="none", **HOST), email)
    (message,) = server.mails
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Zoë, greetings")
    assert message.get_body(("plain",)).get_content() == "Hello Zoë, at home\n"
    assert message.get_body(("html",)).get_content() == "<p>Hello <b>Zoë</b></p>\n"
    assert server.commands == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_the_connection_is_encrypted_before_the_login(
    encryption: str, make_mailing: Make, email: ModuleType, mail_server: Start, certificate: Certificate
) -> None:
    server = mail_server(encryption=encryption, context=certificate("127.0.0.1"), password="confidential")
    login = {"MAIL_USER": "ada", "MAIL_PASSWORD": "confidential"}
    send(make_mailing(MAIL_PORT=server.port, MAIL_TLS=encryption, **HOST, **login), email)
    assert len(server.mails) == 1
    first = ["EHLO", "STARTTLS"] if encryption == "starttls" else []
    assert server.commands == [*first, "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_a_wrong_certificate_is_refused(
    wrong: str,
    encryption: str,
    make_mailing: Make,
    email: ModuleType,
    mail_server: Start,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = certificate("another.example" if wrong == "name" else "127.0.0.1")
    if wrong == "authority":
        monkeypatch.delenv("SSL_CERT_FILE")
    server = mail_server(encryption=encryption, context=context)
    app = make_mailing(MAIL_PORT=server.port, MAIL_TLS=encryption, **HOST)
    assert "SSLCertVerificationError" in fail(app, email)
    assert "MAIL" not in server.commands


def test_a_server_without_tls_is_told_nothing(make_mailing: Make, email: ModuleType, mail_server: Start) -> None:
    server = mail_server()
    assert "STARTTLS" in fail(make_mailing(MAIL_PORT=server.port, **HOST), email)
    assert "MAIL" not in server.commands


def test_a_refused_login_is_told(
    make_mailing: Make, email: ModuleType, mail_server: Start, certificate: Certificate
) -> None:
    server = mail_server(encryption="tls", context=certificate("127.0.0.1"), password="confidential")
    login = {"MAIL_USER": "ada", "MAIL_PASSWORD": "wrong"}
    app = make_mailing(MAIL_PORT=server.port, MAIL_TLS="tls", **HOST, **login)
    assert fail(app, email) == "SMTPAuthenticationError: 535"


@pytest.mark.parametrize(
    ("command", "code", "refused"),
    [("RCPT", 550, True), ("RCPT", 450, False), (".", 554, True), (".", 451, False), ("MAIL", 530, False)],
)
def test_a_refused_mail_is_told_by_its_number(
    command: str, code: int, refused: bool, make_mailing: Make, email: ModuleType, mail_server: Start
) -> None:
    server = mail_server()
    server.answers[command] = f"{code} <ada@example.com> is unknown"
    app = make_mailing(MAIL_PORT=server.port, MAIL_TLS="none", **HOST)
    assert str(code) in fail(app, email)
    with pytest.raises(email.MailError) as failure:
        send(app, email)
    assert failure.value.refused is refused
    assert server.mails == []


def test_a_server_that_is_away_is_told(make_mailing: Make, email: ModuleType, port: int) -> None:
    assert "ConnectionRefusedError" in fail(make_mailing(MAIL_PORT=port, MAIL_TLS="none", **HOST), email)


def test_a_silent_server_is_waited_for_so_long(make_mailing: Make, email: ModuleType, mail_server: Start) -> None:
    server = mail_server()
    server.silent = True
    server.told.clear()
    app = make_mailing(MAIL_PORT=server.port, MAIL_TLS="none", MAIL_TIMEOUT=0.2, **HOST)
    assert "timed out" in fail(app, email)
    assert server.asked.is_set()


def test_a_name_that_nobody_has_is_told(make_mailing: Make, email: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = fail(make_mailing(MAIL_HOST="x" * 64, MAIL_TLS="none"), email)
    assert "label" in reason
    # A real name server may take long to say so, or answer for every name.
    unknown = Mock(side_effect=socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "gaierror" in fail(make_mailing(MAIL_HOST="mail.invalid", MAIL_TLS="none"), email)


def test_a_mail_that_the_server_has_is_sent(make_mailing: Make, email: ModuleType, mail_server: Start) -> None:
    """However the server says goodbye: a failure would send the mail twice."""
    server = mail_server()
    server.answers["QUIT"] = "500 go away"
    send(make_mailing(MAIL_PORT=server.port, MAIL_TLS="none", **HOST), email)
    assert len(server.mails) == 1


def test_development_with_a_server_uses_it(make_mailing: Make, email: ModuleType, mail_server: Start) -> None:
    server = mail_server()
    app = make_mailing(APP_ENV="development", MAIL_PORT=server.port, MAIL_TLS="none", **HOST)
    send(app, email)
    assert len(server.mails) == 1
    assert app.test_client().get("/dev/mailbox").status_code == 404


def test_the_answer_does_not_wait_for_the_server(make_mailing: Make, mail_server: Start) -> None:
    server = mail_server()
    server.told.clear()
    app = make_mailing(MAIL_PORT=server.port, MAIL_TLS="none", MAIL_TIMEOUT=600, **HOST)
    client = app.test_client()
    assert [client.post("/greetings").status_code for _ in range(2)] == [200, 200]
    assert server.asked.wait(20)
    assert server.mails == []
    server.told.set()
    app.extensions["email"].outgoing.stop()
    assert len(server.mails) == 2
