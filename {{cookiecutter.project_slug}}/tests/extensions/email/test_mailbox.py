"""The mailbox of development, and that it is nowhere else."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs

Make = Callable[..., Flask]


@pytest.fixture
def mailbox(package: ModuleType) -> ModuleType:
    return import_module(".extensions.email.mailbox", package.__name__)


@pytest.fixture
def app(make_mailing: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.chdir(tmp_path)
    return make_mailing(APP_ENV="development")


def send(app: Flask, email: ModuleType, subject: str = "Greetings", **context: Any) -> None:
    with app.app_context():
        email.send("ada@example.com", subject, "trial/greeting", **{"name": "Zoë"} | context)


def paths(app: Flask) -> list[str]:
    return re.findall(r'<li><a href="([^"]+)"', app.test_client().get("/dev/mailbox").text)


def test_mails_are_listed_the_newest_first(app: Flask, email: ModuleType, make_mailing: Make) -> None:
    assert "No mail" in app.test_client().get("/dev/mailbox").text
    send(app, email, "One & only")
    send(make_mailing(APP_ENV="development"), email, "Two")  # Another process.
    page = app.test_client().get("/dev/mailbox").text
    assert page.index("Two") < page.index("One &amp; only")
    assert len(paths(app)) == 2


def test_the_log_says_where_a_mail_is(app: Flask, email: ModuleType) -> None:
    with capture_logs() as lines:
        send(app, email)
    (line,) = lines
    assert app.test_client().get(line["read"]).status_code == 200
    assert Path(line["file"]).read_bytes().endswith(b"\n")
    assert paths(app) == [line["read"]]


def test_a_mail_shows_headers_text_and_html(app: Flask, email: ModuleType) -> None:
    send(app, email, name="https://example.com/?token=1 <script>alert(1)</script>")
    (path,) = paths(app)
    client = app.test_client()
    page = client.get(path)
    assert "ada@example.com" in page.text
    assert re.search('<a [^>]*href="https://example.com/\\?token=1"', page.text)
    assert "<script" not in page.text
    # It works under a policy without inline scripts and styles.
    assert "style=" not in page.text
    assert "default-src 'none'; frame-src 'self'" in page.headers["Content-Security-Policy"]
    (frame,) = re.findall(r'<iframe sandbox [^>]*src="([^"]+)"', page.text)
    html = client.get(frame)
    assert html.text.startswith("<p>Hello")
    # Whatever a mail has in it, nothing runs.
    assert html.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert html.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_mail_without_html_has_no_frame(app: Flask, email: ModuleType) -> None:
    with app.app_context():
        email.send("ada@example.com", "Greetings", "trial/plain", name="Ada")
    (path,) = paths(app)
    assert "<iframe" not in app.test_client().get(path).text
    assert app.test_client().get(f"{path}/html").status_code == 404


def test_nothing_else_is_read(app: Flask, email: ModuleType, tmp_path: Path) -> None:
    send(app, email)
    (tmp_path / "other.eml").write_text("Subject: other\n\n")
    for name in ("..%2Fother", "nothing", "%00"):
        assert app.test_client().get(f"/dev/mailbox/{name}").status_code == 404


def test_old_mails_are_removed(
    app: Flask, email: ModuleType, mailbox: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "MOST", 2)
    for number in range(4):
        send(app, email, f"Number {number}")
    page = app.test_client().get("/dev/mailbox").text
    assert re.findall(r"Number \d", page) == ["Number 3", "Number 2"]
    assert len(list(mailbox.FOLDER.iterdir())) == 2


@pytest.mark.parametrize("environment", ["testing", "production"])
def test_it_is_only_in_development(
    environment: str, make_mailing: Make, package: ModuleType, production: dict[str, str]
) -> None:
    name = f"{package.__name__}.extensions.email.mailbox"
    kept = sys.modules.pop(name, None)
    try:
        app = make_mailing(**production | {"APP_ENV": environment})
        assert app.test_client().get("/dev/mailbox").status_code == 404
        assert name not in sys.modules
    finally:
        if kept:
            sys.modules[name] = kept
