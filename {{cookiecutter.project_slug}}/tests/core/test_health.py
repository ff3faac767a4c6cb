import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from time import sleep
from types import ModuleType, SimpleNamespace

import pytest
from flask import Flask, current_app
from flask.testing import FlaskClient
from werkzeug.exceptions import ServiceUnavailable

Extend = Callable[..., FlaskClient]


@pytest.fixture
def extend(package: ModuleType) -> Extend:
    """Make an application whose modules are these, each with its ``ready()``: ``extend(database=ping)``."""

    def extend(timeout: float = 20, **checks: Callable[[], object]) -> FlaskClient:
        app = Flask("probe")
        modules = [SimpleNamespace(__name__=f"extensions.{name}", ready=ready) for name, ready in checks.items()]
        package.core.init_app(app, modules, {"APP_ENV": "testing", "READY_TIMEOUT": timeout})
        return app.test_client()

    return extend


@pytest.fixture
def hang() -> Iterator[Event]:
    """An event that comes when the test has ended."""
    event = Event()
    yield event
    event.set()


def fail() -> None:
    raise ConnectionError("away")


def test_alive(client: FlaskClient) -> None:
    response = client.get("/livez")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_ready(extend: Extend) -> None:
    # Checks have the application's context.
    response = extend(database=lambda: current_app.config["SECRET_KEY"]).get("/readyz")
    assert (response.status_code, response.json) == (200, {"status": "ok", "checks": {"database": "ok"}})


def test_what_is_not_ready_is_logged(extend: Extend, capfd: pytest.CaptureFixture[str]) -> None:
    client = extend(cache=fail)
    client.get("/readyz").close()
    (line,) = (json.loads(line) for line in capfd.readouterr().err.splitlines() if "not_ready" in line)
    assert (line["check"], line["service"]) == ("cache", client.application.name)


def test_what_is_not_ready_is_named(extend: Extend, hang: Event) -> None:
    response = extend(1, cache=fail, database=hang.wait, queue=lambda: None).get("/readyz")
    assert response.status_code == 503
    assert response.json == {
        "status": "unavailable",
        "checks": {"cache": "unavailable", "database": "timed out", "queue": "ok"},
    }


def test_the_description_of_an_http_exception_is_told(extend: Extend) -> None:
    def starting() -> None:
        raise ServiceUnavailable("Starting.")

    assert extend(index=starting).get("/readyz").json == {"status": "unavailable", "checks": {"index": "Starting."}}


def test_a_check_that_hangs_is_not_started_again(extend: Extend, hang: Event) -> None:
    started = []

    def ready() -> None:
        started.append(hang)
        hang.wait()

    client = extend(0.1, database=ready)
    assert client.get("/readyz").status_code == client.get("/readyz").status_code == 503
    assert len(started) == 1


def test_a_check_that_could_not_start_is_started_again(extend: Extend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = extend(database=lambda: None)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            client.get("/readyz")
    assert client.get("/readyz").status_code == 200


def test_probes_at_the_same_time(extend: Extend) -> None:
    """Each is told of a check that has ended, and not of one that another probe has just started."""
    client = extend(database=lambda: sleep(0.001))
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.application.test_client().get("/readyz").status_code, range(200)))
    assert set(statuses) == {200}


def test_what_comes_back_is_ready(extend: Extend) -> None:
    away = [True]

    def ready() -> None:
        if away:
            fail()

    client = extend(database=ready)
    assert client.get("/readyz").status_code == 503
    away.clear()
    assert client.get("/readyz").status_code == 200
