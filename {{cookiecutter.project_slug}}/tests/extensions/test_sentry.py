import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, abort, request
from werkzeug.test import EnvironBuilder

#: As ``fixtures/sentry.py`` makes it.
Reports = Any

#: The service with a route that fails.
FAULTY = """
import PACKAGE as package
from flask.cli import FlaskGroup

make = package.create_app

def create_app(config=None):
    app = make(config)

    @app.route("/bug", methods=["GET", "POST"])
    def bug():
        raise RuntimeError("fault")

    return app

package.create_app = create_app

if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""

#: Answers a request, and prints what of it was imported.
IMPORTED = """
import sys
import PACKAGE as package

client = package.create_app({"APP_ENV": "testing"}).test_client()
print(client.get("/").status_code, [name for name in sys.modules if name.startswith("sentry_sdk")])
"""


@pytest.fixture
def reporting(make_app: Callable[..., Flask], reports: Reports) -> Flask:
    return make_app(SENTRY_DSN=reports.dsn, PROPAGATE_EXCEPTIONS=False)


def flush(app: Flask) -> None:
    app.extensions["sentry"].flush(timeout=10)


def test_nothing_is_imported_without_a_dsn(package: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.replace("PACKAGE", package.__name__)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "200 []\n"


def test_an_error_is_reported_once_and_tells_nothing_personal(
    reporting: Flask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "planted-environ")

    def bug() -> str:
        password = request.json["password"]
        raise RuntimeError(f"amqp://user:planted-url@host/name?token={password}")

    reporting.add_url_rule("/users/<int:number>", view_func=lambda number: bug(), methods=["POST"])
    client = reporting.test_client()
    client.set_cookie("session", "planted-cookie")
    headers = {"Authorization": "Bearer planted-header", "X-Custom": "planted-custom", "X-Request-ID": "a-1"}
    body = {"password": "planted-body", "name": "planted-name"}
    answer = client.post("/users/7?token=planted-query", json=body, headers=headers)
    assert answer.status_code == 500
    answer.close()
    flush(reporting)
    (error,) = reports.errors
    assert [kind for kind, _ in reports.items] == ["event"]
    assert error["exception"]["values"][0]["type"] == "RuntimeError"
    assert error["request"] == {"method": "POST", "url": "http://localhost/users/7"}
    assert error["transaction"] == "/users/<int:number>"
    assert error["environment"] == "testing"
    assert error["tags"]["request_id"] == "a-1"
    assert "user" not in error
    assert "amqp://user:[redacted]@host/name" in error["exception"]["values"][0]["value"]
    secrets = ["planted-environ", "planted-cookie", "planted-header", "planted-custom", "planted-query", "planted-body"]
    secrets += ["planted-name", "planted-url", reporting.config["SECRET_KEY"]]
    # Frames show the lines of this file, in which some of these stand.
    for value in error["exception"]["values"]:
        for frame in value["stacktrace"]["frames"]:
            assert "vars" not in frame
    told = json.dumps({name: item for name, item in error.items() if name != "exception"})
    told += str([value["value"] for value in error["exception"]["values"]])
    assert not [secret for secret in secrets if secret in told]


def test_what_is_answered_is_no_error(reporting: Flask, reports: Reports) -> None:
    reporting.add_url_rule("/abort/<int:code>", view_func=abort)
    for path in "/nowhere", "/abort/400", "/abort/404", "/abort/503":
        reporting.test_client().get(path).close()
    flush(reporting)
    assert reports.items == []


def test_an_error_that_leaves_flask(reporting: Flask, reports: Reports) -> None:
    @reporting.teardown_request
    def fail(error: BaseException | None) -> None:
        raise ValueError("at the end")

    # The test client would raise it again.
    environ = EnvironBuilder("/", environ_overrides={"HTTP_X_REQUEST_ID": "a-1"}).get_environ()
    body: Any = reporting(environ, lambda *_: print)
    assert json.loads(b"".join(body))["status"] == 500
    body.close()
    flush(reporting)
    (error,) = reports.errors
    assert error["exception"]["values"][0]["value"] == "at the end"
    assert error["tags"]["request_id"] == "a-1"


def test_an_application_without_a_dsn_reports_nothing(
    reporting: Flask, reports: Reports, make_app: Callable[..., Flask]
) -> None:
    other = make_app(PROPAGATE_EXCEPTIONS=False)
    for app in other, reporting:
        app.add_url_rule("/bug", view_func=lambda: str(1 / 0))
        app.test_client().get("/bug").close()
    flush(reporting)
    assert len(reports.errors) == 1


def test_durations_are_told_on_demand(make_app: Callable[..., Flask], reports: Reports) -> None:
    app = make_app(SENTRY_DSN=reports.dsn, SENTRY_TRACES_SAMPLE_RATE=1, SENTRY_ENVIRONMENT="staging")
    headers = {"Authorization": "Bearer planted", "Cookie": "a=planted", "X-Custom": "planted"}
    app.test_client().get("/?token=planted", headers=headers).close()
    flush(app)
    ((kind, transaction),) = reports.items
    assert (kind, transaction["transaction"], transaction["environment"]) == ("transaction", "/", "staging")
    assert "planted" not in str(reports.envelopes)


def test_the_durations_of_probes_are_not_told(make_app: Callable[..., Flask], reports: Reports) -> None:
    app = make_app(SENTRY_DSN=reports.dsn, SENTRY_TRACES_SAMPLE_RATE=1)
    for path in *app.extensions["probes"], "/":
        app.test_client().get(path).close()
    flush(app)
    assert [item["transaction"] for kind, item in reports.items if kind == "transaction"] == ["/"]


@pytest.mark.parametrize(("sampled", "count"), [("", 1), ("-0", 0), ("-1", 1)])
def test_the_caller_decides_what_is_sampled(
    make_app: Callable[..., Flask], reports: Reports, sampled: str, count: int
) -> None:
    app = make_app(SENTRY_DSN=reports.dsn, SENTRY_TRACES_SAMPLE_RATE=1)
    app.test_client().get("/", headers={"sentry-trace": f"{'a' * 32}-{'b' * 16}{sampled}"}).close()
    flush(app)
    assert len([kind for kind, _ in reports.items if kind == "transaction"]) == count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENTRY_DSN", "sentry.example.com"),
        ("SENTRY_DSN", "https://sentry.example.com/1"),
        ("SENTRY_DSN", "https://key@sentry.example.com:port/1"),
        ("SENTRY_DSN", "https://key@[::1/1"),
        ("SENTRY_TRACES_SAMPLE_RATE", "2"),
    ],
)
def test_wrong_settings_are_named(make_app: Callable[..., Flask], name: str, value: str) -> None:
    with pytest.raises(Exception, match=f"{name}: "):
        make_app(**{name: value})


@pytest.fixture
def faulty(package: ModuleType, tmp_path: Path) -> str:
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY.replace("PACKAGE", package.__name__))
    return str(script)


def test_every_worker_reports_before_it_ends(
    serve: Callable[..., Popen[bytes]],
    fetch: Callable[..., tuple[int, str]],
    faulty: str,
    reports: Reports,
    production: dict[str, str],
) -> None:
    reports.delay = 0.1
    server = serve(faulty, WEB_WORKERS="2", SENTRY_DSN=reports.dsn, PLANTED="planted-environ")
    headers = {"Authorization": "Bearer planted-header", "Cookie": "session=planted-cookie"}
    assert {fetch("/bug?q=planted-query", "POST", body="planted-body", headers=headers)[0] for _ in range(8)} == {500}
    server.terminate()
    assert server.wait(timeout=20) == 0
    assert len(reports.errors) == 8
    assert len({error["tags"]["request_id"] for error in reports.errors}) == 8
    assert "planted" not in str(reports.envelopes)
    assert not [secret for name, secret in production.items() if name != "APP_ENV" and secret in str(reports.envelopes)]


@pytest.mark.parametrize("listens", [False, True])
def test_a_receiver_that_is_away(
    serve: Callable[..., Popen[bytes]],
    fetch: Callable[..., tuple[int, str]],
    faulty: str,
    tmp_path: Path,
    listens: bool,
) -> None:
    """Or never answers: requests do, the log stays clean, and the server stops in time."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        server = serve(faulty, SENTRY_DSN="http://key@{}:{}/1".format(*silent.getsockname()))
        assert {fetch("/bug")[0] for _ in range(20)} == {500}
        server.terminate()
        assert server.wait(timeout=20) == 0
    lines = [json.loads(line) for line in (tmp_path / "server.log").read_text().splitlines()]
    assert not [line for line in lines if str(line.get("logger")).startswith(("sentry", "urllib3"))]
