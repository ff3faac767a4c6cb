from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from subprocess import Popen
from time import monotonic, sleep, time
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import Gauge
from structlog.testing import capture_logs

Fetch = Callable[..., tuple[int, str]]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"]


def test_open_in_development(make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    response = make_app(APP_ENV="development").test_client().get("/metrics")
    assert response.status_code == 200
    assert response.mimetype == "text/plain"


def test_without_a_token_only_this_machine_is_answered(client: FlaskClient) -> None:
    assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401


def test_any_host_is_answered(make_app: Callable[..., Flask]) -> None:
    client = make_app(TRUSTED_HOSTS="example.com").test_client()
    assert client.get("/metrics", base_url="http://192.0.2.1:8000").status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", "Bearer é"])
def test_guarded_in_production(make_app: Callable[..., Flask], production: dict[str, str], authorization: str) -> None:
    response = make_app(**production).test_client().get("/metrics", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.www_authenticate.type == "bearer"
    assert "# TYPE" not in response.text


def test_token_is_accepted(make_app: Callable[..., Flask], production: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {production['METRICS_TOKEN']}"}
    assert make_app(**production).test_client().get("/metrics", headers=headers).status_code == 200


def test_a_token_that_cannot_be_sent_is_refused(make_app: Callable[..., Flask], production: dict[str, str]) -> None:
    with pytest.raises(Exception, match="METRICS_TOKEN: Only letters"):
        make_app(**production | {"METRICS_TOKEN": f"é{production['METRICS_TOKEN']}"})


def test_routes_are_labels_and_paths_are_not(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/orders/<int:number>", view_func=lambda number: str(number))
    for path in "/orders/1", "/orders/2", "/nowhere/1", "/nowhere/2":
        client.get(path).close()
    text = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/orders/<int:number>",status="200"} 2.0' in text
    assert 'http_requests_total{method="GET",route="",status="404"} 2.0' in text
    assert 'http_request_duration_seconds_count{method="GET",route="/orders/<int:number>"} 2.0' in text
    assert "/orders/1" not in text


def test_unknown_methods_are_counted_together(client: FlaskClient) -> None:
    for method in "BREW", "WHEN":
        client.open("/", method=method).close()
    text = client.get("/metrics").text
    assert 'http_requests_total{method="other",route="",status="405"} 2.0' in text
    assert "BREW" not in text


def test_the_number_of_series_is_bounded(app: Flask, client: FlaskClient, make_app: Callable[..., Flask]) -> None:
    inner = make_app()
    app.add_url_rule("/orders/<name>", "orders", lambda name: name)
    app.add_url_rule("/mounted/<name>", "mounted", lambda name: inner)

    def series() -> int:
        return sum(not line.startswith("#") for line in client.get("/metrics").text.splitlines())

    def send(count: int) -> None:
        for number in range(count):
            for path in (f"/{token_hex(4)}", f"/orders/{token_hex(4)}", f"/mounted/{token_hex(4)}", "/"):
                client.open(path, method=METHODS[number % len(METHODS)]).close()
            client.open("/", method=token_hex(4)).close()

    send(len(METHODS))
    series()  # This request is counted, too, once it is answered.
    before = series()
    send(200)
    assert series() == before


def test_requests_in_progress(app: Flask, client: FlaskClient) -> None:
    @app.get("/within")
    def within() -> str:
        with app.test_client().get("/metrics") as response:
            return response.get_data(as_text=True)

    @app.get("/bug")
    def bug() -> str:
        raise ZeroDivisionError

    response = client.get("/within")
    assert "http_requests_in_progress 2.0" in response.text
    response.close()
    with pytest.raises(ZeroDivisionError):
        client.get("/bug")
    assert "http_requests_in_progress 1.0" in client.get("/metrics").text


def test_what_is_measured_is_as_it_is_now(app: Flask, client: FlaskClient, package: ModuleType) -> None:
    queue: list[str] = []
    gauge = Gauge("queued", "Waiting.", registry=app.extensions["metrics"])
    package.extensions.metrics.measure(app, lambda: gauge.set(len(queue)))
    assert "queued 0.0" in client.get("/metrics").text
    queue.append("order")
    assert "queued 1.0" in client.get("/metrics").text


def test_what_cannot_be_measured_does_not_end_it(
    app: Flask, package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = package.extensions.metrics
    seen: list[str] = []
    numbers: list[int] = []
    app.extensions["measures"] = [lambda: seen.append("before"), numbers.pop, lambda: seen.append("after")]

    def sleep(seconds: float) -> None:
        if seen:
            raise SystemExit

    monkeypatch.setattr(metrics, "sleep", sleep)
    with capture_logs() as logs, pytest.raises(SystemExit):
        metrics._keep_measuring(app)
    assert seen == ["before", "after"]
    assert [line["event"] for line in logs] == ["not_measured"]


def test_two_apps_count_apart(make_app: Callable[..., Flask]) -> None:
    first, second = make_app().test_client(), make_app().test_client()
    first.get("/").close()
    assert 'route="/"' in first.get("/metrics").text
    assert 'route="/"' not in second.get("/metrics").text


#: The service with requests that wait for a file to be there, and kill the worker that answers them.
MORE = """
import os
import time
import PACKAGE as package
from flask import request
from flask.cli import FlaskGroup

make = package.create_app

def create_app(config=None):
    app = make(config)

    @app.get("/die")
    def die():
        while not os.path.exists(request.args["when"]):
            time.sleep(0.05)
        os.kill(os.getpid(), 9)

    return app

package.create_app = create_app

if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""


@pytest.fixture
def figures(fetch: Fetch, production: dict[str, str]) -> Callable[[], dict[str, float]]:
    """What Prometheus reads: values by name and labels."""

    def figures() -> dict[str, float]:
        _, text = fetch("/metrics", headers={"Authorization": f"Bearer {production['METRICS_TOKEN']}"})
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    return figures


def until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 10
    while True:
        with suppress(OSError, HTTPException):  # Who is connected to a worker that is killed gets no answer.
            if condition():
                return
        assert monotonic() < deadline
        sleep(0.05)


def test_workers_count_together(
    serve: Callable[..., Popen[bytes]],
    fetch: Fetch,
    figures: Callable[[], dict[str, float]],
    package: ModuleType,
    tmp_path: Path,
) -> None:
    """And none of it is lost, or left over, when one of them is killed."""
    script = tmp_path / "more.py"
    script.write_text(MORE.replace("PACKAGE", package.__name__))
    serve(str(script), WEB_WORKERS="2", WEB_THREADS="4")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch, ["/"] * 100))
    total = 'http_requests_total{method="GET",route="/",status="200"}'
    # A request is counted once it was answered, which may be a moment after its client has the answer.
    until(lambda: figures().get(total) == 100)
    until(lambda: figures()["service_workers"] == 2)
    before = figures()
    assert before["service_threads"] == 8
    assert before["service_workers_started_total"] == 2
    with ThreadPoolExecutor(1) as pool:
        dying = pool.submit(fetch, f"/die?when={tmp_path}/now")
        until(lambda: figures()["http_requests_in_progress"] == 2)
        (tmp_path / "now").touch()
        with pytest.raises((OSError, HTTPException)):
            dying.result()
    # What other workers have to tell of now is up to a second old.
    until(lambda: figures().get("http_requests_in_progress") == 1)
    assert figures()[total] == 100
    until(lambda: figures()["service_workers"] == 2)
    assert (after := figures())["service_workers_started_total"] == 3
    if Path("/proc/self/stat").exists():
        assert after["process_cpu_seconds_total"] >= before["process_cpu_seconds_total"] > 0.1
        assert after["process_resident_memory_bytes"] > 30e6
        assert after["process_open_fds"] > 10
        assert after["process_threads"] > 3
        assert 0 < time() - after["process_start_time_seconds"] < 100
