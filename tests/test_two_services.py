"""Two services in one process, side by side under one server: neither takes anything from the other."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from conftest import TEMPLATE, Service
from running import add, prepare, run, serving

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


@pytest.mark.parametrize("server", ["granian", "gunicorn"])
def test_the_program_of_the_documentation(server: str, bake: Callable[..., Service], tmp_path: Path) -> None:
    """It serves both, by the server of the first."""
    orders, billing = (bake(project_name=name, package_name=name, server=server).path for name in ("orders", "billing"))
    for service in (orders, billing):
        (main,) = service.glob("src/*/blueprints/main.py")
        names = "import structlog\nfrom flask import current_app, redirect, session, url_for\n"
        if "who_it_is" not in main.read_text():
            main.write_text(re.sub("(?m)^(?=from flask import)", names, main.read_text(), count=1))
        add(service, VIEWS)
    prepare(orders)
    run(
        orders,
        "uv",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        ".venv/bin/python",
        "--editable",
        str(billing),
    )
    program = tmp_path / "together.py"
    text = (TEMPLATE / "docs/one-process.md").read_text()
    program.write_text(re.findall("```python\n(.*?)```", text, re.DOTALL)[0])
    settings = {"SECRET_KEY": token_hex(), "BILLING_SECRET_KEY": token_hex(), "BILLING_LOG_LEVEL": "warning"}
    command = [str(orders / ".venv/bin/python"), str(program), "serve"]
    with serving(tmp_path, tmp_path / "log", command, APP_ENV="testing", **settings) as running:
        browser = build_opener(HTTPCookieProcessor())
        # Each view writes into its session, and redirects to where url_for says.
        for path, name in (("/who", "orders"), ("/billing/who", "billing")) * 5:
            with browser.open(running.url + path) as response:
                assert json.load(response) == {"service": name, "user": name}
        assert [running.get(path)[0] for path in ("/readyz", "/billing/readyz", "/billing/nowhere")] == [200, 200, 404]
    lines = running.log_lines()
    assert {line["service"] for line in lines if line["event"] == "request"} == {"orders"}
    assert [line["level_of"] for line in lines if line["event"] == "asked"] == ["info"] * 5, (
        "billing tells warnings alone"
    )
    assert not [name for name, value in settings.items() if "KEY" in name and value in running.log.read_text()]
