"""Mails through the front door: both servers, a worker, and a mail server that answers when it is told to."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Service
from manifest import MANIFEST
from matrix import some
from owned import Owned
from receivers import listening_in
from running import Server, add, in_production, required_settings, run, serving, until
from servers import private
from test_jobs import Processes
from test_readme import blocks

ROUTES = """
from ..extensions.email import send


@bp.post("/mails/<name>")
def mail(name: str) -> ResponseReturnValue:
    send(f"{name}@example.com", "Greetings", "greeting", name=name)
    return {"mailed": name}
"""
SECONDS = 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "answers",
    [{}, {"pages": "yes"}, {"jobs": "celery_redis"}, {"jobs": "celery_redis", "sql": "sqlite", "api": "yes"}],
    ids=["alone", "pages", "jobs", "transaction"],
)
def test_the_readme_of_a_service_followed(
    answers: dict[str, str], bake: Callable[..., Service], tmp_path: Path
) -> None:
    service = Owned(bake(email="yes", **answers), tmp_path / "service")
    readme = (service.folder / "README.md").read_text().partition("## Mails")[2]
    view, test, *ends = blocks(readme.partition("\n## ")[0], "py")
    (template,) = blocks(readme, "jinja")
    (service.package / "templates/mails").mkdir(parents=True)
    for path, text in (("blueprints/main.py", view), ("templates/mails/invitation.txt", template)):
        with (service.package / path).open("a") as file:
            file.write(text)
    with (service.folder / "tests/blueprints/test_main.py").open("a") as file:
        file.write(f"\nfrom typing import Any\n\n\n{test}")
    assert "def test_invite" in test
    assert len(ends) == ("sql" in answers)
    for end in ends:
        with pytest.raises(AssertionError, match="1 failed"):
            service.test("tests/blueprints")
        service.replace("blueprints/main.py", '    return {"invited": "Ada"}, 202\n', end)
    service.test("tests/blueprints")


@pytest.fixture
def mail_server() -> Iterator[Any]:
    """The server that the tests of services have."""
    with listening_in("email/smtp.Server") as server:
        yield server
        server.told.set()


def mailing(service: Path, server: Any) -> dict[str, str]:
    """Add a view that sends, and return the settings."""
    add(service, ROUTES)
    templates = next(service.glob("src/*")) / "templates"
    templates.mkdir(exist_ok=True)
    (templates / "greeting.txt").write_text("Hello {{ name }}\n")
    own = {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(server.port), "MAIL_TLS": "none"}
    # Whoever waits for the mail server waits longer than the tests do.
    own["MAIL_TIMEOUT"] = "600"
    return required_settings(service) | own | {"PYTHONPATH": str(service / "src")}


@pytest.fixture(params=some(MANIFEST["_answers"]["server"], "gunicorn"))
def start(
    request: pytest.FixtureRequest, bake: Callable[..., Service], mail_server: Any, tmp_path: Path
) -> Callable[..., Any]:
    service = bake(email="yes", server=request.param, project_name="Mailing").path
    return partial(in_production, service, tmp_path / "log", **mailing(service, mail_server))


@pytest.mark.slow
def test_nobody_waits_for_the_mail_server(start: Callable[..., Any], mail_server: Any) -> None:
    """Answers come while it keeps its own back, also to further requests of the same connection."""
    mail_server.told.clear()
    with start(WEB_CONCURRENCY="1") as service:
        address = urlsplit(service.url).netloc
        with closing(HTTPConnection(address, timeout=SECONDS)) as connection:
            connection.request("POST", "/mails/ada")
            assert json.loads(connection.getresponse().read()) == {"mailed": "ada"}
            opened = connection.sock
            assert mail_server.asked.wait(SECONDS)
            for name in ("bea", "cleo"):
                connection.request("POST", f"/mails/{name}")
                assert json.loads(connection.getresponse().read()) == {"mailed": name}
            connection.request("GET", "/")
            assert connection.getresponse().read()
            assert connection.sock is opened
        assert mail_server.mails == []
        mail_server.told.set()
        until(lambda: len(mail_server.mails) == 3, SECONDS)
    assert [mail["To"] for mail in mail_server.mails] == ["ada@example.com", "bea@example.com", "cleo@example.com"]
    assert mail_server.mails[0].get_content() == "Hello ada\n"


@pytest.mark.slow
def test_a_stop_sends_what_waits(start: Callable[..., Any], mail_server: Any) -> None:
    mail_server.told.clear()
    with start(WEB_CONCURRENCY="1") as service:
        for name in ("ada", "bea", "cleo"):
            assert service.get(f"/mails/{name}", "POST")[0] == 200
        assert mail_server.asked.wait(SECONDS)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: refused(service), SECONDS)
        assert (mail_server.mails, service.process.poll()) == ([], None)
        mail_server.told.set()
        assert service.process.wait(SECONDS) == 0
    assert [mail["To"] for mail in mail_server.mails] == ["ada@example.com", "bea@example.com", "cleo@example.com"]
    assert not [line for line in service.log_lines() if str(line["event"]).startswith("mail_")]


@pytest.mark.slow
def test_a_stop_says_what_it_could_not_send(start: Callable[..., Any], mail_server: Any) -> None:
    """And ends in its time, however long the mail server takes."""
    mail_server.told.clear()
    with start(WEB_CONCURRENCY="1", STOP_TIMEOUT="4") as service:
        for name in ("ada", "bea"):
            assert service.get(f"/mails/{name}", "POST")[0] == 200
        assert mail_server.asked.wait(SECONDS)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(SECONDS) == 0
    lines = [line for line in service.log_lines() if line["event"] == "mail_dropped"]
    assert len({line["message_id"] for line in lines}) == len(lines) == 2
    assert "@example.com>" in str(lines[0]["message_id"])
    assert "ada" not in str(lines) + str([line["event"] for line in service.log_lines()])


@pytest.mark.slow
def test_a_refused_mail_is_a_line_with_its_request(start: Callable[..., Any], mail_server: Any) -> None:
    mail_server.answers["RCPT"] = "550 <ada@example.com> is unknown"
    with start() as service:
        assert service.get("/mails/ada", "POST", **{"X-Request-ID": "asked"})[0] == 200
        until(lambda: b"mail_failed" in service.log.read_bytes(), SECONDS)
        mail_server.answers.clear()
        assert service.get("/mails/bea", "POST")[0] == 200
        until(lambda: len(mail_server.mails) == 1, SECONDS)
    (line,) = [line for line in service.log_lines() if line["event"] == "mail_failed"]
    assert (line["level"], line["request_id"], line["reason"]) == ("error", "asked", "SMTPRecipientsRefused: 550")
    assert b"ada@" not in service.log.read_bytes()


def refused(service: Server) -> bool:
    """Whether the port takes no more connections."""
    try:
        service.get("/livez")
    except OSError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("sql", ["none", "sqlite"])
def test_a_worker_sends_until_the_server_takes_it(
    sql: str, bake: Callable[..., Service], mail_server: Any, tmp_path: Path
) -> None:
    """A mail of a request goes through Redis, and what the server first refuses arrives at the next start."""
    service = bake(email="yes", jobs="celery_redis", sql=sql, metrics="yes", project_name="Posted").path
    settings = mailing(service, mail_server)
    if sql == "sqlite":
        (module,) = service.glob("src/*/blueprints/main.py")
        commit = "    from ..extensions.sqlalchemy import db\n\n    db.session.commit()\n    return {"
        module.write_text(module.read_text().replace('    return {"mailed"', f'{commit}"mailed"'))
        settings["DATABASE_URL"] = f"sqlite:///{tmp_path}/posted.sqlite"
        command = [sys.executable, "-m", "posted"]
        run(service, *command, "first-migration", **settings | {"APP_ENV": "development"})
        run(service, *command, "db", "upgrade", **settings)
    mail_server.answers["RCPT"] = "450 later"
    with private("redis") as redis:
        settings |= {"BROKER_URL": redis.url}
        found = Processes(service, tmp_path, settings)
        with in_production(service, tmp_path / "log", **settings) as web, found.running("scheduler"):
            assert web.get("/mails/ada", "POST")[0] == 200
            assert mail_server.commands == []
            with found.running("worker"):
                until(lambda: "RCPT" in mail_server.commands, SECONDS)
                mail_server.answers.clear()
                until(lambda: mail_server.mails, 60)
                until(lambda: found.figures("worker")['mails_total{result="sent"}'] == 1, SECONDS)
                assert found.figures("worker")['mails_total{result="failed"}'] == 0
    (mail,) = mail_server.mails
    assert (mail["To"], mail.get_content()) == ("ada@example.com", "Hello ada\n")
    assert "ada@" not in found.log("worker") + (tmp_path / "log").read_text()


@pytest.mark.slow
def test_mails_of_all_processes_are_in_the_mailbox_of_development(
    bake: Callable[..., Service], mail_server: Any, tmp_path: Path
) -> None:
    service = Owned(bake(email="yes", project_name="Kept"), tmp_path / "service")
    mailing(service.folder, mail_server)
    settings = {"APP_ENV": "development", "PYTHONPATH": str(service.package.parent)}
    send = "import kept; from kept.extensions.email import send\n"
    send += "with kept.create_app().app_context(): send('bea@example.com', 'Hello', 'greeting', name='Bea')"
    with serving(service.folder, tmp_path / "log", [sys.executable, "-m", "kept", "serve"], **settings) as server:
        assert server.get("/mails/ada", "POST")[0] == 200
        run(service.folder, sys.executable, "-c", send, **settings)
        until(lambda: server.get("/dev/mailbox")[1].count(b"@example.com") == 2, SECONDS)
    assert len(list((service.folder / "development.mails").iterdir())) == 2
    assert mail_server.mails == []
