import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import values

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"]
TOKEN = token_hex(32)


@pytest.fixture
def counted(probe: Callable[..., Flask]) -> Flask:
    return probe("extensions.metrics")


@pytest.fixture
def client(counted: Flask) -> FlaskClient:
    return counted.test_client()


def test_without_a_token_only_this_machine_is_answered(client: FlaskClient) -> None:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401


def test_any_host_is_answered(probe: Callable[..., Flask]) -> None:
    client = probe("extensions.metrics", TRUSTED_HOSTS="example.com").test_client()
    assert client.get("/metrics", base_url="http://192.0.2.1:8000").status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", "Bearer é"])
def test_the_token_guards(probe: Callable[..., Flask], authorization: str) -> None:
    client = probe("extensions.metrics", METRICS_TOKEN=TOKEN).test_client()
    response = client.get("/metrics", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.www_authenticate.type == "bearer"
    assert "# TYPE" not in response.text
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_folder_that_is_missing_is_refused(
    probe: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "missing"))
    with pytest.raises(Exception, match="PROMETHEUS_MULTIPROC_DIR: Must be unset"):
        probe("extensions.metrics")


def test_without_a_folder_for_temporary_files_no_server_starts(
    counted: Flask, package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(package.core.settings.ConfigError, match="TMPDIR: Must be a folder"):
        package.core.server.serving.send(counted)


@pytest.mark.parametrize(("token", "message"), [("", "Set it to 32 random bytes"), ("é" * 32, "Only letters")])
def test_production_refuses_a_wrong_token(probe: Callable[..., Flask], token: str, message: str) -> None:
    with pytest.raises(Exception, match=f"METRICS_TOKEN: {message}"):
        probe("extensions.metrics", APP_ENV="production", METRICS_TOKEN=token)


def test_routes_are_labels_and_paths_are_not(counted: Flask, client: FlaskClient) -> None:
    counted.add_url_rule("/orders/<int:number>", view_func=lambda number: str(number))
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


def test_the_number_of_series_is_bounded(counted: Flask, client: FlaskClient, probe: Callable[..., Flask]) -> None:
    inner = probe("extensions.metrics")
    counted.add_url_rule("/orders/<name>", "orders", lambda name: name)
    counted.add_url_rule("/mounted/<name>", "mounted", lambda name: inner)

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
    send(50)
    assert series() == before


def test_requests_in_progress(probe: Callable[..., Flask]) -> None:
    counted = probe("extensions.metrics", PROPAGATE_EXCEPTIONS=False)
    client = counted.test_client()

    @counted.get("/within")
    def within() -> str:
        with counted.test_client().get("/metrics") as response:
            return response.get_data(as_text=True)

    @counted.get("/bug")
    def bug() -> str:
        raise ZeroDivisionError

    response = client.get("/within")
    assert "http_requests_in_progress 2.0" in response.text
    response.close()
    client.get("/bug").close()
    assert "http_requests_in_progress 1.0" in client.get("/metrics").text


def test_what_is_measured_is_as_it_is_now(counted: Flask, client: FlaskClient, package: ModuleType) -> None:
    queue: list[str] = []
    metrics = import_module(".extensions.metrics", package.__name__)
    gauge = metrics.Gauge("queued", "Waiting.", registry=counted.extensions["metrics"])
    metrics.measure(counted, lambda: gauge.set(len(queue)))
    assert "queued 0.0" in client.get("/metrics").text
    queue.append("order")
    assert "queued 1.0" in client.get("/metrics").text


def test_two_apps_count_apart(probe: Callable[..., Flask]) -> None:
    first, second = (probe("extensions.metrics").test_client() for _ in range(2))
    first.get("/").close()
    assert 'route="/"' in first.get("/metrics").text
    assert 'route="/"' not in second.get("/metrics").text


def test_two_apps_of_a_worker_lose_no_count(
    probe: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two applications of this service share the files of the process: each of both tells the sum."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.MutexValue)
    first, second = (probe("extensions.metrics").test_client() for _ in range(2))
    for client in (first, second, first):
        client.get("/").close()
    told = {
        client.get("/metrics").text.partition("http_requests_total{")[2].splitlines()[0] for client in (first, second)
    }
    assert told == {'method="GET",route="/",status="200"} 3.0'}
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def test_the_version_of_what_is_not_installed(
    client: FlaskClient, package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module(".extensions.metrics", package.__name__), "installed_version", lambda: None)
    assert 'version="unknown"' in client.get("/metrics").text
