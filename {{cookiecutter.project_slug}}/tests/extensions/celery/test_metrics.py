"""The figures of jobs."""

from collections.abc import Callable
from importlib import import_module
from math import isnan
from types import ModuleType
from typing import Any

import pytest
from click import ClickException
from flask import Flask
from werkzeug.exceptions import ServiceUnavailable

Probe = Callable[..., Flask]
MODULES = ["extensions.metrics", "extensions.celery", "extensions.celery.metrics"]


def figures(app: Flask) -> dict[str, float]:
    lines = app.test_client().get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def queue(told: dict[str, float], figure: str) -> float:
    (value,) = (value for name, value in told.items() if name.startswith("jobs_" + figure + "{queue="))
    return value


def test_jobs_are_counted(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    app = probe(*MODULES)
    with app.app_context():
        celery.declared["probe.note"].send(1)
        celery.declared["probe.note"].send(2)
    found = app.extensions["jobs"]
    found.keep(found, "probe.note", "one", {}, ([4], {}), ValueError("negative"))
    told = figures(app)
    assert told['jobs_sent_total{name="probe.note"}'] == 2
    assert [queue(told, figure) for figure in ("waiting", "kept")] == [2, 1]
    assert told['jobs_failed_total{name="probe.note"}'] == 1
    jobs_of(app).run()
    told = figures(app)
    assert queue(told, "waiting") == 0
    for figure in ("jobs_started_total", "job_wait_seconds_count", "job_duration_seconds_count"):
        assert told[figure + '{name="probe.note"}'] == 2


def test_a_failure_has_been_zero(celery: ModuleType, ran: list[Any], probe: Probe) -> None:
    """Otherwise no alert would see the first one."""
    assert figures(probe(*MODULES))['jobs_failed_total{name="probe.note"}'] == 0


def test_a_start_with_an_exception_has_its_time(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    app = probe(*MODULES)
    with app.app_context():
        celery.declared["probe.note"].send(-1)
    with pytest.raises(ValueError, match="negative"):
        jobs_of(app).run()
    assert figures(app)['job_duration_seconds_count{name="probe.note"}'] == 1


def test_a_job_for_later_waits_from_then_on(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    app = probe(*MODULES)
    with app.app_context():
        celery.declared["probe.note"].send_after(60, 1)
    jobs_of(app).run(after=60)
    assert figures(app)['job_wait_seconds_sum{name="probe.note"}'] == 0


def test_a_broker_that_is_away_takes_no_figure_along(
    celery: ModuleType, ran: list[Any], probe: Probe, port: int
) -> None:
    address = celery.chosen_broker().BROKER.partition("://")[0]
    app = probe(*MODULES, BROKER_URL=f"{address}://127.0.0.1:{port}", BROKER_TIMEOUT=0.2)
    with app.app_context(), pytest.raises(ServiceUnavailable):
        celery.declared["probe.note"].send(1)
    told = figures(app)
    assert told["jobs_refused_total"] == 1
    assert isnan(queue(told, "waiting"))


@pytest.fixture
def entered(probe: Probe, package: ModuleType, port: int, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application whose scheduler answers at a port."""
    metrics = import_module(".extensions.celery.metrics", package.__name__)
    monkeypatch.setattr(metrics.os, "register_at_fork", lambda **_: None)
    app = probe(*MODULES, METRICS_PORT=port, METRICS_TOKEN="t" * 32)
    app.extensions["jobs"].enter(False)
    return app


def test_a_scheduler_answers_scrapes_alone(entered: Flask, fetch: Callable[..., tuple[int, str]]) -> None:
    status, text = fetch("/metrics", headers={"Authorization": f"Bearer {'t' * 32}"})
    assert status == 200
    assert "jobs_waiting{" in text
    assert fetch("/metrics")[0] == 401
    assert fetch("/")[0] == 404


def test_a_port_that_is_taken_is_refused(entered: Flask) -> None:
    with pytest.raises(ClickException, match=r"METRICS_PORT \d+ cannot be used"):
        entered.extensions["jobs"].enter(False)


def test_a_worker_counts_no_queue(celery: ModuleType, probe: Probe) -> None:
    """Its processes would inherit the connection."""
    app = probe(*MODULES)
    assert app.extensions["jobs"].enter(True) is app.extensions["jobs"]
    assert not [name for name in figures(app) if name.startswith("jobs_waiting")]
