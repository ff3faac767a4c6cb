"""Scheduled jobs: when they are due, and that one of several schedulers sends them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

Probe = Callable[..., Flask]
HOUR = timedelta(hours=1)


@pytest.fixture
def scheduler(package: ModuleType) -> ModuleType:
    return import_module(".extensions.celery.scheduler", package.__name__)


@pytest.fixture
def hourly(celery: ModuleType) -> list[str]:
    """The runs of a job that is due each hour."""
    runs: list[str] = []
    job: Any = celery.job

    @job("probe.hourly", every=HOUR)  # type: ignore[untyped-decorator]
    def hourly() -> None:
        runs.append("ran")

    return runs


def at(scheduler: ModuleType, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Move the clock."""
    monkeypatch.setattr(scheduler.time, "time", lambda: 1_000_000 * 3600 + hours * 3600)


def due(app: Flask, schedule: Any) -> int:
    with app.app_context():
        return int(schedule.send_due())


@pytest.mark.parametrize(
    ("every", "later", "expected"),
    [
        (HOUR, timedelta(), datetime(2026, 3, 1, 14, 0, tzinfo=UTC)),
        (HOUR, timedelta(minutes=45), datetime(2026, 3, 1, 13, 45, tzinfo=UTC)),
        (timedelta(days=1), timedelta(hours=3), datetime(2026, 3, 1, 3, 0, tzinfo=UTC)),
        (timedelta(days=1), timedelta(hours=15), datetime(2026, 2, 28, 15, 0, tzinfo=UTC)),
    ],
)
def test_times(every: timedelta, later: timedelta, expected: datetime, scheduler: ModuleType) -> None:
    now = datetime(2026, 3, 1, 14, 30, tzinfo=UTC).timestamp()
    found = scheduler.last_time(now, every.total_seconds(), later.total_seconds())
    assert datetime.fromtimestamp(found, UTC) == expected


def test_a_job_is_sent_when_it_is_due(
    hourly: list[str], scheduler: ModuleType, probe: Probe, jobs_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, schedule = probe("extensions.celery"), scheduler.Schedule()
    at(scheduler, monkeypatch, 0.5)
    assert due(app, schedule) == 0  # Nobody knows whether it has run.
    at(scheduler, monkeypatch, 1.1)
    assert [due(app, schedule), due(app, schedule)] == [1, 0]
    assert [job.name for job in jobs_of(app).run()] == ["probe.hourly"]
    assert hourly == ["ran"]


@pytest.mark.parametrize(("command", "broker"), [("scheduler", "memory://"), ("worker", "")])
def test_a_health_file_that_cannot_be(
    command: str, broker: str, celery: ModuleType, probe: Probe, tmp_path: Path
) -> None:
    address, path = broker or celery.chosen_broker().BROKER, tmp_path / "missing/file"
    app = probe("extensions.celery", BROKER_URL=address, JOB_HEALTH_FILE=str(path))
    done = app.test_cli_runner().invoke(args=[command])
    assert (done.exit_code, done.output) == (
        1,
        f"Error: JOB_HEALTH_FILE {path} cannot be written: No such file or directory\n",
    )


def test_a_scheduled_job_takes_no_arguments(celery: ModuleType) -> None:
    with pytest.raises(TypeError, match="missing a required argument"):
        celery.job("probe.wrong", every=HOUR)(lambda order: None)
