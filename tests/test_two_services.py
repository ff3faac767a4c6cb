"""Two services in one process, side by side under one server: neither takes anything from the other."""

import json
import subprocess
import sys
from collections.abc import Callable

from conftest import Service

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
