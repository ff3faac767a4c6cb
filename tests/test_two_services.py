"""Two services in one process, side by side under one server: neither takes anything from the other."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from secrets import token_hex
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from conftest import TEMPLATE, Service
from manifest import start_commands
from owned import Owned
from running import Server, serving
from test_readme import blocks

PROGRAM = """
import json, logging, sys
import structlog
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
import first, second
from flask import session

def make(package, **config):
    app = package.create_app({"APP_ENV": "testing"} | config)

    @app.get("/work")
    def work():
        session["user"] = app.name
        structlog.get_logger().info("detail", key=f"{config['SECRET_KEY']}")
        logging.getLogger("library").warning("loud")
        return session["user"]

    @app.get("/who")
    def who():
        return session.get("user", "")

    return app

def mounted():
    return two

one = make(first, SECRET_KEY="secret-of-the-first", LOG_LEVEL="info")
two = make(second, SECRET_KEY="secret-of-the-second", LOG_LEVEL="warning")
one.add_url_rule("/mounted", view_func=mounted)
client = Client(DispatcherMiddleware(NotFound(), {"/one": one, "/two": two}))
for path in "/one/work", "/two/work", "/one/mounted":
    client.get(path, headers={"X-Request-ID": path.strip("/").replace("/", "-")}).close()
client.get("/one/secret-of-the-second").close()
print(json.dumps([client.get(path).text for path in ("/one/who", "/two/who")]))
"""


def test_two_services_in_one_process(bake: Callable[..., Service]) -> None:
    paths = [bake(project_name=name, package_name=name).path / "src" for name in ("first", "second")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": ":".join(map(str, paths))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == ["first", "second"], "each has its own session"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = [
        (line["service"], line["event"], line["request_id"]) for line in lines if "-" in str(line.get("request_id"))
    ]
    assert told == [
        ("first", "detail", "one-work"),
        ("first", "loud", "one-work"),
        ("first", "request", "one-work"),
        ("second", "loud", "two-work"),
        ("first", "request", "one-mounted"),
    ], "each line once, with the id of its request and the level of its service, also if one is an answer of the other"
    assert "secret-of-the" not in done.stderr


#: Of both services.
VIEWS = """

@bp.get("/who")
def who() -> ResponseReturnValue:
    session["user"] = current_app.name
    structlog.get_logger().info("asked", level_of=current_app.config["LOG_LEVEL"], secret=current_app.config["SECRET_KEY"])
    return redirect(url_for(".who_it_is"))


@bp.get("/who-it-is")
def who_it_is() -> ResponseReturnValue:
    return {"service": current_app.name, "user": session.get("user", "")}
"""
#: Of orders, which keeps notes of its own.
CALLS = """
from flask import Blueprint

from ..clients.billing import billing, schemas
from ..extensions.http_client import ProblemError

bp = Blueprint("bills", __name__)


@bp.get("/bills/<title>")
def bill(title: str) -> dict[str, object]:
    made = billing().create_note(schemas.NoteIn(title=title)).value
    try:
        billing().change_note(made.id, schemas.NotePatch(title=title), if_match='"another"')
    except ProblemError as error:
        return {"refused": error.status, "bills": [note.title for note in billing().each_list_notes()]}
    return {}
"""
ANSWERS = {"api": "yes", "example": "yes", "sql": "sqlite", "http_client": "yes", "metrics": "yes"}


class Pair:
    """Orders and billing, with an environment that has both, a database each, and a client of billing in orders."""

    def __init__(self, bake: Callable[..., Service], folder: Path, server: str) -> None:
        self.folder = folder
        self.settings: dict[str, dict[str, str]] = {}
        for name in ("billing", "orders"):
            made = Owned(bake(project_name=name, server=server, **ANSWERS), folder / name)
            main = made.package / "blueprints/main.py"
            names = "import structlog\nfrom flask import current_app, redirect, session, url_for\n"
            main.write_text(re.sub("(?m)^(?=from flask import)", names, main.read_text(), count=1) + VIEWS)
            database = {"DATABASE_URL": f"sqlite:///{folder / name}.db"}
            for command in start_commands({"sqlalchemy"}):
                made.python("-m", name, *command.split(), APP_ENV="development", **database)
            self.settings[name] = {"SECRET_KEY": token_hex(), **database}
        made.python(str(TEMPLATE / "client.py"), "--", "../billing/openapi.json")
        made.add("blueprints.bills", CALLS)

    def serve(self, log: str, *command: str, **settings: str) -> AbstractContextManager[Server]:
        path = os.pathsep.join(str(self.folder / name / "src") for name in self.settings)
        settings = {"APP_ENV": "testing", "PYTHONPATH": path, "WEB_CONCURRENCY": "1"} | settings
        return serving(self.folder, self.folder / log, [sys.executable, *command, "serve"], **settings)

    def in_one_process(self, program: str, url: str) -> AbstractContextManager[Server]:
        """Start the program of the page."""
        (self.folder / "together.py").write_text(program)
        own = {f"BILLING_{name}": value for name, value in self.settings["billing"].items()}
        return self.serve(
            "log", "together.py", BILLING_URL=url, BILLING_LOG_LEVEL="warning", **own, **self.settings["orders"]
        )

    def bills(self, orders: Server, title: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(orders.get(f"/bills/{title}", **{"X-Request-ID": f"for-{title}"})[1])
        return found


def titles(server: Server, prefix: str = "") -> list[str]:
    return [note["title"] for note in json.loads(server.get(f"{prefix}/api/v1/notes")[1])["items"]]


def programs() -> list[str]:
    """The program of the page, which mounts; and the one that mounts what is called."""
    mounts, other = blocks((TEMPLATE / "docs/one-process.md").read_text(), "python")
    return [mounts, re.sub(r"def create_app.*?    return app\n", lambda _: other, mounts, flags=re.DOTALL)]


@pytest.mark.slow
@pytest.mark.parametrize(("server", "program"), [("granian", 0), ("gunicorn", 1)])
def test_services_together_and_apart(server: str, program: int, bake: Callable[..., Service], tmp_path: Path) -> None:
    """The same code, the same databases; what differs is one setting."""
    pair = Pair(bake, tmp_path, server)
    with pair.in_one_process(programs()[program], "wsgi://billing/billing") as together:
        browser = build_opener(HTTPCookieProcessor())
        # Each view writes into its session, and redirects to where url_for says.
        for path, name in (("/who", "orders"), ("/billing/who", "billing")) * 5:
            with browser.open(together.url + path) as response:
                assert json.load(response) == {"service": name, "user": name}
        assert pair.bills(together, "one") == {"refused": 412, "bills": ["one"]}
        assert titles(together, "/billing") == ["one"]
        assert titles(together) == [], "orders has notes of its own"
        told = [together.get(f"{prefix}/metrics")[1].decode() for prefix in ("", "/billing")]
        counted = [re.findall(r'(?m)^http_requests_total\{.*route="/who",.* (\S+)$', figures) for figures in told]
        assert counted == [["5.0"], ["5.0"]]
        assert ["billing" in figures for figures in told] == [True, False], "the calls of orders are not of billing"
        assert all("service_workers 1.0" in figures for figures in told), told
        probes = ("/readyz", "/billing/readyz", "/billing/nowhere")
        assert [together.get(path)[0] for path in probes] == [200, 200, 404]
    lines = together.log_lines()
    assert {line["service"] for line in lines if line["event"] == "request"} == {"orders"}
    levels = [line["level_of"] for line in lines if line["event"] == "asked"]
    assert levels == ["info"] * 5, "billing tells warnings alone"
    assert not [own for own in pair.settings.values() if own["SECRET_KEY"] in together.log.read_text()]
    if program:
        return
    with (
        pair.serve("billing.log", "-m", "billing", **pair.settings["billing"]) as billing,
        pair.serve("orders.log", "-m", "orders", BILLING_URL=billing.url, **pair.settings["orders"]) as orders,
    ):
        assert pair.bills(orders, "two") == {"refused": 412, "bills": ["one", "two"]}
        assert titles(orders) == []
        billing.await_requests(3)
    told = [line for line in billing.log_lines() if line.get("request_id") == "for-two"]
    assert [(line["method"], line["status"]) for line in told] == [("POST", 201), ("PATCH", 412), ("GET", 200)]
