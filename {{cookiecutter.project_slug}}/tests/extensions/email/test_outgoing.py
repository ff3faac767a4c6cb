"""The thread that sends the mails of requests."""

import json
from collections.abc import Callable
from email.message import EmailMessage
from importlib import import_module
from threading import Event
from types import ModuleType
from typing import Any

import pytest
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs


class Sender:
    """Sends when it is told to, and keeps what it has sent."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.begun, self.told = Event(), Event()
        self.sent: list[tuple[str, Any]] = []
        self.results: list[str] = []
        self.outgoing = make(self.deliver, self.results.append, 20)

    def deliver(self, message: EmailMessage) -> None:
        self.begun.set()
        self.told.wait(20)
        if message["Subject"] == "wrong":
            raise RuntimeError("ada@example.com")
        self.sent.append((message["Subject"], get_contextvars().get("request_id")))

    def put(self, subject: str) -> None:
        message = EmailMessage()
        message["Subject"], message["Message-ID"] = subject, f"<{subject}@example.com>"
        message["To"] = "ada@example.com"
        self.outgoing.put(message, {"request_id": f"id of {subject}"})


@pytest.fixture
def module(package: ModuleType) -> ModuleType:
    return import_module(".extensions.email.outgoing", package.__name__)


@pytest.fixture
def sender(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Sender:
    monkeypatch.setattr(module, "MOST", 3)
    return Sender(module.Outgoing)


def test_mails_are_sent_one_after_the_other_with_their_ids(sender: Sender) -> None:
    sender.told.set()
    for subject in ("one", "two"):
        sender.put(subject)
    sender.outgoing.stop()
    assert sender.sent == [("one", "id of one"), ("two", "id of two")]


def test_a_failure_is_a_line_without_personal_data(sender: Sender) -> None:
    sender.told.set()
    with capture_logs() as lines:
        sender.put("wrong")
        sender.put("right")
        sender.outgoing.stop()
    assert [subject for subject, _ in sender.sent] == ["right"]
    (line,) = lines
    assert (line["event"], line["log_level"], line["message_id"]) == ("mail_failed", "error", "<wrong@example.com>")
    assert "ada" not in json.dumps(lines)
    assert sender.results == ["failed"]


def test_a_full_queue_drops_and_never_waits(sender: Sender, module: ModuleType) -> None:
    sender.put("first")
    assert sender.begun.wait(20)
    with capture_logs() as lines:
        for number in range(module.MOST + 2):  # Nobody sends meanwhile.
            sender.put(str(number))
    assert [(line["event"], line["log_level"], line["message_id"]) for line in lines] == [
        ("mail_dropped", "error", "<3@example.com>"),
        ("mail_dropped", "error", "<4@example.com>"),
    ]
    assert sender.results == ["dropped", "dropped"]
    sender.told.set()
    sender.outgoing.stop()
    assert [subject for subject, _ in sender.sent] == ["first", "0", "1", "2"]


def test_a_stop_says_what_was_not_sent(sender: Sender) -> None:
    sender.outgoing.stop_timeout = 0.1
    sender.put("first")
    assert sender.begun.wait(20)
    for number in range(3):
        sender.put(str(number))
    with capture_logs() as lines:
        sender.outgoing.stop()
    names = [line["message_id"] for line in lines if line["event"] == "mail_dropped"]
    assert names == ["<first@example.com>", *(f"<{number}@example.com>" for number in range(3))]
    sender.told.set()


def test_a_mail_after_the_stop_is_no_silent_loss(sender: Sender) -> None:
    sender.outgoing.stop()
    with capture_logs() as lines:
        sender.put("late")
    assert [(line["event"], line["message_id"]) for line in lines] == [("mail_dropped", "<late@example.com>")]
    assert sender.outgoing.thread is None
