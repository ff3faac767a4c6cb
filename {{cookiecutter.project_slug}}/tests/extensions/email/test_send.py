"""What a mail says, and when a request sends it."""

import re
from collections.abc import Callable
from email.message import EmailMessage
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from jinja2 import TemplateNotFound

Make = Callable[..., Flask]


def outbox(app: Flask) -> list[EmailMessage]:
    found: list[EmailMessage] = app.extensions["email"].outbox
    return found


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part
    return str(part.get_content())


def test_a_mail_has_text_and_html(mailing: Flask) -> None:
    assert mailing.test_client().post("/greetings?name=<Ada>").status_code == 200
    (message,) = outbox(mailing)
    assert (message["To"], message["From"], message["Subject"]) == (
        "ada@example.com",
        "service@example.com",
        "Greetings",
    )
    assert message["Date"].datetime
    assert re.fullmatch(r"<[^@>]+@example\.com>", message["Message-ID"])
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    # In the context of the view.
    assert body(message, "plain") == "Hello <Ada>, at /greetings\n"
    assert body(message, "html") == "<p>Hello <b>&lt;Ada&gt;</b></p>\n"


def test_a_mail_without_html_is_text(mailing: Flask) -> None:
    mailing.test_client().post("/greetings?template=plain&name=Zoë")
    (message,) = outbox(mailing)
    assert (message.get_content_type(), body(message, "plain")) == ("text/plain", "Hello Zoë\n")
    # Every mail server takes it.
    assert message.as_bytes().isascii()


def test_a_missing_template_is_told(mailing: Flask, email: ModuleType) -> None:
    for template, missing in (("trial/nothing", "trial/nothing.txt"), ("trial/broken", "trial/nowhere.html")):
        with mailing.app_context(), pytest.raises(TemplateNotFound, match=missing):
            email.send("ada@example.com", "Greetings", template)
    assert outbox(mailing) == []


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x85", "\u2028", "\0"])
def test_no_header_can_be_added(end: str, mailing: Flask, email: ModuleType) -> None:
    with mailing.app_context():
        for added in (f"{end}Bcc: eve@example.com", end):
            with pytest.raises(ValueError, match="line break"):
                email.send("ada@example.com", f"Greetings{added}", "trial/plain", name="Ada")
            with pytest.raises(ValueError, match="one address"):
                email.send(f"ada@example.com{added}", "Greetings", "trial/plain", name="Ada")
    assert outbox(mailing) == []


#: In a header, this is the address evil@evil.example.
ENCODED = "=?utf-8?q?evil=40evil.example=20?=x@example.com"


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a@b@c",
        "ada@example.com, eve@example.com",
        "Ada <ada@example.com>",
        "a b@c",
        ENCODED,
    ],
)
def test_what_is_no_address_is_refused_and_not_quoted(to: str, mailing: Flask, email: ModuleType) -> None:
    with mailing.app_context(), pytest.raises(ValueError, match="one address") as refusal:
        email.send(to, "Greetings", "trial/plain", name="Ada")
    assert "eve" not in str(refusal.value)


def test_the_sender_may_have_a_name(make_mailing: Make) -> None:
    app = make_mailing(MAIL_FROM="Zoë Orders <orders@example.org>")
    app.test_client().post("/greetings")
    (message,) = outbox(app)
    assert message["From"] == "Zoë Orders <orders@example.org>"
    assert message["Message-ID"].endswith("@example.org>")


@pytest.mark.parametrize(("query", "count"), [("status=404", 1), ("status=500", 0), ("status=503", 0), ("raise", 0)])
def test_a_view_that_fails_sends_nothing(query: str, count: int, mailing: Flask) -> None:
    mailing.test_client().post(f"/greetings?{query}")
    assert len(outbox(mailing)) == count


def test_a_view_that_aborts_sends_nothing(mailing: Flask) -> None:
    """Its transaction has ended without a commit."""
    assert mailing.test_client().post("/greetings?abort").status_code == 409
    assert outbox(mailing) == []


def test_a_mail_of_an_error_handler_is_sent(mailing: Flask, email: ModuleType) -> None:
    @mailing.errorhandler(RuntimeError)
    def tell(error: RuntimeError) -> tuple[str, int]:
        email.send("ops@example.com", "It failed", "trial/plain", name="you")
        return "told", 400

    assert mailing.test_client().post("/greetings?raise").text == "told"
    assert [message["To"] for message in outbox(mailing)] == ["ops@example.com"]


def test_a_mail_leaves_after_the_end_of_the_request(mailing: Flask) -> None:
    """After everything that may still fail, such as a commit in a teardown function."""
    seen: list[Any] = []
    mailing.teardown_request(lambda error: seen.append(len(outbox(mailing))))
    mailing.test_client().post("/greetings")
    assert (seen, len(outbox(mailing))) == ([0], 1)


def test_a_request_that_fails_at_its_end_sends_nothing(mailing: Flask) -> None:
    @mailing.teardown_request
    def fail(error: BaseException | None) -> None:
        raise RuntimeError("no commit")

    with pytest.raises(RuntimeError, match="no commit"):
        mailing.test_client().post("/greetings")
    assert outbox(mailing) == []


@pytest.mark.parametrize(("method", "query"), [("POST", "file"), ("POST", "status=204"), ("HEAD", "")])
def test_a_mail_leaves_with_every_kind_of_answer(method: str, query: str, mailing: Flask) -> None:
    mailing.add_url_rule("/greetings", view_func=mailing.view_functions["greet"], methods=["GET"])
    response = mailing.test_client().open(f"/greetings?{query}", method=method)
    assert response.status_code < 400
    response.close()
    assert len(outbox(mailing)) == 1


def test_outside_of_a_request_it_leaves_at_once(mailing: Flask, email: ModuleType) -> None:
    with mailing.app_context():
        email.send("ada@example.com", "Greetings", "trial/greeting", name="Ada")
        (message,) = outbox(mailing)
    assert body(message, "plain") == "Hello Ada, at home\n"


@pytest.mark.parametrize(
    ("setting", "settings"),
    [
        ("MAIL_HOST", {"MAIL_HOST": "smtp.example.com:25"}),
        ("MAIL_FROM", {"MAIL_FROM": "orders"}),
        ("MAIL_FROM", {"MAIL_FROM": "Orders <shop..orders@example.com>"}),
        ("MAIL_FROM", {"MAIL_FROM": ". <orders@example.com>"}),
        ("MAIL_FROM", {"MAIL_FROM": "Orders <orders@example.com>\nBcc: eve@example.com"}),
        ("MAIL_TLS", {"MAIL_TLS": "ssl"}),
        ("MAIL_TLS", {"MAIL_TLS": "none", "MAIL_USER": "ada", "MAIL_PASSWORD": "confidential"}),
        ("MAIL_USER", {"MAIL_USER": "ada"}),
        ("MAIL_PASSWORD", {"MAIL_PASSWORD": "confidential"}),
        ("MAIL_PORT", {"MAIL_PORT": "0"}),
        ("MAIL_TIMEOUT", {"MAIL_TIMEOUT": "nan"}),
    ],
)
def test_wrong_settings_are_refused(setting: str, settings: dict[str, str], make_mailing: Make) -> None:
    with pytest.raises(Exception, match=f"  {setting}: ") as refusal:
        make_mailing(**settings)
    assert "confidential" not in str(refusal.value)


def test_production_names_what_it_misses(make_mailing: Make, production: dict[str, str]) -> None:
    with pytest.raises(Exception, match=r"(?s)MAIL_FROM: .*MAIL_HOST: "):
        make_mailing(**production | {"MAIL_HOST": "", "MAIL_FROM": ""})
