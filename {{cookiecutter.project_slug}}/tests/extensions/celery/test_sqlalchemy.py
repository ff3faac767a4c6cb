"""The outbox: a job is part of the transaction that sends it, and its row of the one that it writes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import orm

MODULES = ["extensions.sqlalchemy", "extensions.celery", "extensions.celery.sqlalchemy"]


@pytest.fixture
def outbox(package: ModuleType) -> ModuleType:
    return import_module(".extensions.celery.sqlalchemy", package.__name__)


@pytest.fixture
def app(probe: Callable[..., Flask], db: orm.Session, ran: list[Any], celery: ModuleType, outbox: ModuleType) -> Flask:
    app = probe(*MODULES)

    @app.post("/notes/<int(signed=True):number>/<end>")
    def send(number: int, end: str) -> dict[str, str]:
        key = celery.declared["probe.note"].send(number)
        getattr(outbox.db.session, end)()
        return {"job": key}

    return app


def rows(db: orm.Session, outbox: ModuleType) -> list[Any]:
    return list(db.scalars(sa.select(outbox.OutboxRow)))


def relay(app: Flask, outbox: ModuleType) -> int:
    with app.app_context():
        return int(outbox.relay())


def due_now(db: orm.Session, outbox: ModuleType) -> None:
    db.execute(sa.update(outbox.OutboxRow).values(due=datetime.now(UTC) - timedelta(seconds=1)))
    db.commit()


def test_a_job_is_sent_by_the_commit(app: Flask, jobs_of: Any, ran: list[Any], db: orm.Session) -> None:
    client = app.test_client()
    assert client.post("/notes/1/rollback").status_code == 200
    assert jobs_of(app).sent == []
    key = client.post("/notes/2/commit", headers={"X-Request-ID": "asked"}).json
    (sent,) = jobs_of(app).sent
    assert key == {"job": sent.id}
    assert jobs_of(app).run() == [sent]
    assert ran == [(2, "", "asked")]
    assert jobs_of(app).sent == []


def test_the_relay_sends_what_is_due(
    app: Flask, jobs_of: Any, ran: list[Any], db: orm.Session, outbox: ModuleType
) -> None:
    app.test_client().post("/notes/3/commit")
    assert [relay(app, outbox), relay(app, outbox)] == [1, 0]
    due_now(db, outbox)
    assert relay(app, outbox) == 1  # The broker may have lost it.
    (row,) = rows(db, outbox)
    assert row.sent == 2
    # Two messages and the row are one job.
    jobs_of(app).run(after=10_000)
    assert [number for number, *_ in ran] == [3]
    assert rows(db, outbox) == []


def test_what_a_job_has_written_is_gone_when_it_fails(
    probe: Callable[..., Flask],
    db: orm.Session,
    celery: ModuleType,
    outbox: ModuleType,
    jobs_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job: Any = celery.job

    @job("probe.copy", starts=2)  # type: ignore[untyped-decorator]
    def copy(fail: bool) -> None:
        other = celery.declared["probe.copy"].send(fail=False)
        outbox.db.session.flush()
        assert other
        if fail:
            raise OSError("the disk is full")

    app = probe(*MODULES)
    with app.app_context():
        copy.send(fail=True)
        outbox.db.session.commit()
    for start in (1, 2):
        before = datetime.now(UTC)
        with pytest.raises(OSError, match="full"):
            jobs_of(app).run()
        (row,) = rows(db, outbox)
        assert row.starts == start
        if start == 1:
            assert row.due > before + timedelta(seconds=2)
            assert jobs_of(app).run() == []
            due_now(db, outbox)
    assert (row.due, row.error) == (None, "OSError: the disk is full")
    assert jobs_of(app).sent == []


def test_a_job_whose_process_dies_ends(
    app: Flask, jobs_of: Any, ran: list[Any], db: orm.Session, outbox: ModuleType
) -> None:
    app.test_client().post("/notes/4/commit")
    db.execute(sa.update(outbox.OutboxRow).values(starts=3))
    db.commit()
    jobs_of(app).run()
    assert ran == []
    (row,) = rows(db, outbox)
    assert "started 3 times" in row.error


def test_a_stop_takes_its_start_back(
    app: Flask, jobs_of: Any, ran: list[Any], db: orm.Session, outbox: ModuleType
) -> None:
    """A long job outlives more deployments than it has starts."""
    app.test_client().post("/notes/4/commit")
    (row,) = rows(db, outbox)
    db.execute(sa.update(outbox.OutboxRow).values(starts=3, since=None))
    db.commit()
    app.extensions["jobs"].uncount([str(row.id), "7f3f3f0e-0000-4000-8000-000000000000"])
    db.expire_all()
    assert (row.starts, row.since is None) == (2, False)
    jobs_of(app).run(after=outbox.GIVEN_BACK.total_seconds())
    assert [number for number, *_ in ran] == [4]


def test_what_failed_is_listed_and_sent_again(
    app: Flask, jobs_of: Any, ran: list[Any], db: orm.Session, outbox: ModuleType
) -> None:
    app.test_client().post("/notes/-5/commit")
    for _ in range(3):
        due_now(db, outbox)
        with pytest.raises(ValueError, match="negative"):
            jobs_of(app).run()
    runner = app.test_cli_runner()
    (line,) = runner.invoke(args=["jobs", "list"]).output.splitlines()
    key = line.split()[0]
    assert json.loads(runner.invoke(args=["jobs", "show", key]).output)["args"] == [-5]
    again = runner.invoke(args=["jobs", "retry", key])
    assert again.exit_code == 0, again.output
    assert runner.invoke(args=["jobs", "list"]).output == ""
    assert [str(job.id) for job in rows(db, outbox)] == [again.output.strip()]


def test_a_job_without_a_limit_of_time_may_be_due_in_a_year(
    app: Flask, celery: ModuleType, jobs_of: Any, ran: list[Any], outbox: ModuleType
) -> None:
    with app.app_context():
        celery.declared["probe.note"].send_after(365 * 86400, 6)
        outbox.db.session.commit()
    assert jobs_of(app).run() == []
    assert relay(app, outbox) == 0
    assert len(jobs_of(app).run(after=365 * 86400)) == 1


def test_a_message_of_a_release_without_an_outbox_is_run(
    app: Flask, probe: Callable[..., Flask], celery: ModuleType, jobs_of: Any, ran: list[Any]
) -> None:
    before = probe("extensions.celery")
    with before.app_context():
        celery.declared["probe.note"].send(7)
    (sent,) = jobs_of(before).sent
    app.extensions["jobs"].celery.tasks[sent.name].apply(sent.args, sent.kwargs, headers=sent.headers, throw=True)
    assert ran[0][0] == 7


def test_rows_are_counted(
    app: Flask, celery: ModuleType, jobs_of: Any, ran: list[Any], db: orm.Session, outbox: ModuleType
) -> None:
    client = app.test_client()
    client.post("/notes/1/commit")
    client.post("/notes/2/commit")
    db.execute(sa.update(outbox.OutboxRow).values(starts=3))
    db.commit()
    jobs_of(app).run()
    client.post("/notes/3/commit")
    with app.app_context():
        celery.declared["probe.note"].send_after(365 * 86400, 4)  # It does not wait for a worker.
        outbox.db.session.commit()
    minute_ago = datetime.now(UTC) - timedelta(seconds=60)
    db.execute(sa.update(outbox.OutboxRow).where(outbox.OutboxRow.since <= datetime.now(UTC)).values(since=minute_ago))
    db.commit()
    with app.app_context():
        waiting, failed, age = app.extensions["jobs"].lengths()
    assert (waiting, failed) == (1, 2)
    assert 60 <= age < 70


def test_what_has_begun_does_not_wait(
    app: Flask, celery: ModuleType, jobs_of: Any, ran: list[Any], db: orm.Session, outbox: ModuleType
) -> None:
    told: list[Any] = []
    celery.job_retried.connect(lambda sender, job: told.append(job), app, weak=False)
    app.test_client().post("/notes/-1/commit")
    with pytest.raises(ValueError, match="negative"):
        jobs_of(app).run()
    (row,) = rows(db, outbox)
    assert row.since == row.due
    assert told == ["probe.note"]


def test_one_of_several_schedulers_sends(
    package: ModuleType,
    probe: Callable[..., Flask],
    celery: ModuleType,
    outbox: ModuleType,
    db: orm.Session,
    jobs_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was missed while none lived is made up, once."""
    runs: list[str] = []
    job: Any = celery.job

    @job("probe.hourly", every=timedelta(hours=1))  # type: ignore[untyped-decorator]
    def hourly() -> None:
        runs.append("ran")

    scheduler = import_module(".extensions.celery.scheduler", package.__name__)
    app, schedules = probe(*MODULES), [scheduler.Schedule(), scheduler.Schedule()]
    sent = []
    for hours in (0.5, 1.1, 1.2, 2.0, 7.5):
        monkeypatch.setattr(scheduler.time, "time", lambda hours=hours: 1_000_000 * 3600 + hours * 3600)
        with app.app_context():
            sent.append(sum(schedule.send_due() for schedule in schedules))
    assert sent == [0, 1, 0, 1, 1]
    jobs_of(app).run()
    assert runs == ["ran"] * 3
