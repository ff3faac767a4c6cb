"""Metrics, scraped and queried by a real Prometheus; dashboards and alerts, against what a running service tells."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Service
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from manifest import MANIFEST
from prometheus import Prometheus, program, prometheus
from running import Server, add, prepare, required_settings, run, serving, until

ROUTES = """
import os
import time

from contextlib import suppress

from flask import request
from redis import ConnectionError, ResponseError

from ..extensions.redis import client
from ..extensions.sqlalchemy import db


@bp.get("/away")
def away() -> ResponseReturnValue:
    with suppress(ResponseError):
        client().execute_command("NONSENSE")
    raise ConnectionError


@bp.get("/bug")
def bug() -> ResponseReturnValue:
    raise RuntimeError


@bp.get("/slow")
def slow() -> ResponseReturnValue:
    while not os.path.exists(request.args["until"]):
        time.sleep(0.05)
    return {}


@bp.get("/hoard")
def hoard() -> ResponseReturnValue:
    connections = []
    try:
        while True:
            connections.append(db.engine.connect())
    finally:
        for connection in connections:
            connection.close()
"""
SLUG = "counted"


@pytest.fixture
def service(bake: Callable[..., Service]) -> Service:
    return bake(preset="full", project_name=SLUG.title())


#: Within which what is scraped every second has to be seen.
SECONDS = 30


def alerts(folder: Path) -> dict[str, dict[str, Any]]:
    """The alerts of a service, by name."""
    groups = [
        group for path in folder.glob("metrics/alerts/*.yaml") for group in yaml.safe_load(path.read_text())["groups"]
    ]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboards(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("metrics/dashboards/*.json")}


def expressions(dashboard: Any) -> dict[str, str]:
    """The expressions of the panels, for all instances of one service."""
    values = {"$job": SLUG, "$instance": ".*", "$__rate_interval": "30s"}
    found = {}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = expression = target["expr"]
            for name, value in values.items():
                expression = expression.replace(name, value)
            assert "$" not in expression
            found[f"{panel['title']} {target['refId']}"] = expression
    return found


# --- the files ---


def configure(service: Path, folder: Path) -> Path:
    """Copy the configuration of a service, with a token, as the README of the service says."""
    shutil.copytree(service / "metrics", folder)
    (folder / "token").write_text("wrong")
    return folder / "prometheus.yaml"


@pytest.mark.parametrize("answers", [{"preset": "full"}, {"metrics": "yes"}], ids=str)
def test_prometheus_takes_the_configuration(
    answers: dict[str, str], bake: Callable[..., Service], tmp_path: Path
) -> None:
    config = configure(bake(**answers).path, tmp_path / "metrics")
    assert "SUCCESS" in run(tmp_path, program("promtool"), "check", "config", str(config))


def test_alerts(service: Service, tmp_path: Path) -> None:
    """Each fires when it should and not before, and says what it is about and what to do."""
    tests = yaml.safe_load(Path(__file__).with_name("alerts.yaml").read_text())
    names = {test["alertname"] for group in tests["tests"] for test in group["alert_rule_test"]}
    found = alerts(service.path)
    assert names == found.keys()
    for alert in found.values():
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert alert["annotations"].keys() == {"summary", "description", "action"}
    tests["rule_files"] = [str(path) for path in service.path.glob("metrics/alerts/*.yaml")]
    # What an alert is labelled and annotated with is read from its rule, but for what is filled in.
    for group in tests["tests"]:
        for test in group["alert_rule_test"]:
            rule = found[test["alertname"]]
            for expected in test["exp_alerts"]:
                expected["exp_labels"] |= rule["labels"]
                expected["exp_annotations"] = rule["annotations"] | {"summary": expected.pop("summary")}
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(tests))
    assert "SUCCESS" in run(tmp_path, program("promtool"), "test", "rules", str(file))


@pytest.mark.parametrize("name", ["service", "sqlalchemy", "nosql", "redis", "celery"])
def test_grafana_knows_every_field_of_a_dashboard(name: str, service: Service) -> None:
    """Whatever is read into Grafana's own model and written again is all there."""
    dashboard = dashboards(service.path)[name]
    known = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    assert [*missing_in(known, dashboard)] == []
    dashboard["panels"][0]["grid"] = dashboard["panels"][0].pop("gridPos")
    known = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    assert [*missing_in(known, dashboard)] == ["/panels/0/grid"]


def missing_in(known: Any, given: Any, path: str = "") -> Iterator[str]:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key in known:
                yield from missing_in(known[key], value, f"{path}/{key}")
            else:
                yield f"{path}/{key}"
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for number, value in enumerate(given):
            yield from missing_in(known[number], value, f"{path}/{number}")
    elif known != given:
        yield path


def test_panels_do_not_overlap(service: Service) -> None:
    for dashboard in dashboards(service.path).values():
        cells = [
            (x, y)
            for panel in dashboard["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))


# --- a running service ---

DYING = """
import os
import time

from flask import request


@bp.get("/die")
def die() -> ResponseReturnValue:
    while not os.path.exists(request.args["when"]):
        time.sleep(0.05)
    os.kill(os.getpid(), 9)
    return {}
"""


@pytest.mark.parametrize("server", MANIFEST["_answers"]["server"])
def test_workers_count_together(server: str, bake: Callable[..., Service], tmp_path: Path) -> None:
    """What a killed worker has counted is kept, what it was doing is gone; nothing is left when the server ends."""
    service = bake(metrics="yes", server=server, project_name=SLUG.title()).path
    add(service, DYING)
    settings = required_settings(service)
    total, now, shared = 'http_requests_total{method="GET",route="/",status="200"}', tmp_path / "now", tmp_path / "tmp"
    shared.mkdir()
    variables = {"WEB_CONCURRENCY": "2", "WEB_THREADS": "4", "TMPDIR": str(shared), "PYTHONPATH": str(service / "src")}
    with (
        serving(service, tmp_path / "log", [sys.executable, "-m", SLUG, "serve"], **settings | variables) as running,
        ThreadPoolExecutor(1) as pool,
    ):

        def figures() -> dict[str, float]:
            """What Prometheus reads: values by name and labels."""
            with suppress(OSError, HTTPException):  # Who is connected to a worker that is killed gets no answer.
                status, text = running.get("/metrics", Authorization=f"Bearer {settings['METRICS_TOKEN']}")
                assert status == 200
                lines = [line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#")]
                return {name: float(value) for name, _, value in lines}
            return {}

        def tell(**expected: float) -> Callable[[], bool]:
            return lambda: {name: figures().get(name) for name in expected} == expected

        assert running.get_many("/", 100) == [200] * 100
        # A request is counted once it was answered, which may be a moment after its client has the answer.
        until(tell(**{total: 100}, service_workers=2, service_threads=8, service_workers_started_total=2), SECONDS)
        assert [name for name in figures() if name.startswith("service_info") and 'version="' in name]
        dying = pool.submit(running.get, f"/die?when={now}")
        until(tell(http_requests_in_progress=2), SECONDS)
        now.touch()
        with pytest.raises((OSError, HTTPException)):
            dying.result()
        until(tell(**{total: 100}, service_workers=2, service_workers_started_total=3), SECONDS)
        assert figures()["http_requests_in_progress"] == 1
        assert figures()[total] == 100
        assert [*shared.iterdir()]
    assert not [*shared.iterdir()]


@pytest.mark.slow
@pytest.mark.parametrize("server", MANIFEST["_answers"]["server"])
def test_a_running_service(server: str, bake: Callable[..., Service], tmp_path: Path) -> None:
    """Several workers, one of which is killed, tell Prometheus exactly what they were sent."""
    service = bake(preset="full", project_name=SLUG.title(), server=server).path
    prepare(service, ROUTES)
    settings = required_settings(service) | {
        "WEB_CONCURRENCY": "2",
        "WEB_THREADS": "4",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'counted.sqlite'}",
        "DATABASE_CONNECT_TIMEOUT": "0.2",
    }
    command = [".venv/bin/python", "-m", SLUG, "serve"]
    with serving(service, tmp_path / "log", command, **settings) as running:
        config = configure(service, tmp_path / "metrics")
        (tmp_path / "metrics/token").write_text(settings["METRICS_TOKEN"])
        hasten(config, running)
        with prometheus(config) as monitor:
            until(lambda: monitor.query("up") == {("up", running.url.removeprefix("http://"), SLUG): 1}, SECONDS)
            assert running.get("/metrics")[0] == 401
            until(lambda: value(monitor, "service_workers") == 2, SECONDS)
            counts(monitor, running, tmp_path / "now")
            expressions_have_values(monitor, service)
            until(lambda: {"ServiceErrors", "DatabasePoolExhausted"} <= monitor.firing(), SECONDS)
            until(lambda: "ServiceDown" not in monitor.firing(), SECONDS)
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(30)
            until(lambda: "ServiceDown" in monitor.firing(), SECONDS)


def hasten(config: Path, running: Server, *others: str) -> None:
    """Let it scrape the service, and other processes of it, every second, and alerts fire at once."""
    text = config.read_text().replace("_interval: 15s", "_interval: 1s")
    targets = [running.url.removeprefix("http://"), *others]
    config.write_text(text.replace('["127.0.0.1:8000"]', json.dumps(targets)))
    for path in config.parent.glob("alerts/*.yaml"):
        path.write_text(re.sub(r"for: \d+m", "for: 0s", path.read_text()))


def value(monitor: Prometheus, expression: str) -> float | None:
    """The one value of an expression."""
    found = list(monitor.query(expression).values())
    assert len(found) < 2
    return found[0] if found else None


def has_values(monitor: Prometheus, expression: str, name: str) -> None:
    """Now, or after a further scrape: while one has taken longer than a second, as on a busy machine, there are none."""
    until(lambda: monitor.query(expression), SECONDS, f"a value of {name}: {expression}")


def counts(monitor: Prometheus, running: Server, now: Path) -> None:
    assert running.get_many("/away", 20) == [503] * 20
    statuses = running.get_many("/bug", 20)
    # Of a series that it has not seen before, Prometheus does not know what was counted at first.
    until(lambda: value(monitor, 'http_requests_total{status="500"}') == 20, SECONDS)
    statuses += running.get_many("/", 300) + running.get_many("/bug", 40) + running.get_many("/hoard", 8)
    assert (statuses.count(200), statuses.count(500), statuses.count(503)) == (300, 60, 8)
    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(running.get, f"/slow?until={now}") for _ in range(3)]
        # The one that asks is in progress as well.
        until(lambda: value(monitor, "http_requests_in_progress") == 4, SECONDS)
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        until(lambda: value(monitor, "service_workers_started_total") == 3, SECONDS)
        assert value(monitor, "min_over_time(service_workers[10s])") in (1, 2)
        now.touch()
        until(lambda: value(monitor, "http_requests_in_progress") == 1, SECONDS)
        done = 0
        for future in slow:
            with suppress(OSError):  # It was in the worker that was killed.
                done += future.result()[0] == 200
    assert running.get_many("/", 200) == [200] * 200
    assert running.get_many("/away", 20) == [503] * 20
    expected = {("/", "200"): 500, ("/bug", "500"): 60, ("/hoard", "503"): 8} | (
        {("/slow", "200"): done} if done else {}
    )
    by_route = 'sum by (route, status) (http_requests_total{route=~"/|/bug|/hoard|/slow"})'
    until(lambda: monitor.query(by_route) == expected, SECONDS)
    durations = 'sum by (route) (http_request_duration_seconds_count{route=~"/|/bug|/hoard"})'
    until(lambda: monitor.query(durations) == {("/",): 500, ("/bug",): 60, ("/hoard",): 8}, SECONDS)
    until(lambda: value(monitor, 'database_unavailable_total{reason="busy"}') == 8, SECONDS)
    for name in ("http_requests_total", "http_request_duration_seconds_bucket"):
        assert set(monitor.query(f"resets({name}[5m])").values()) == {0}, f"{name} fell"


def expressions_have_values(monitor: Prometheus, service: Path) -> None:
    # Those of jobs are in tests/test_jobs.py, with a worker.
    for dashboard in [found for name, found in dashboards(service).items() if name != "celery"]:
        for name, expression in expressions(dashboard).items():
            has_values(monitor, expression, name)
        for variable in dashboard["templating"]["list"][1:]:
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert match
            has_values(monitor, f"count by ({match[2]}) ({match[1].replace('$job', SLUG)})", variable["name"])
    for name, alert in [(name, alert) for name, alert in alerts(service).items() if not name.startswith("Jobs")]:
        # The limit is not reached; that of the one that is away is.
        has_values(monitor, alert["expr"].rpartition(" > ")[0] or alert["expr"].replace("== 0", "== 1"), name)
