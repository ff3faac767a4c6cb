"""Jobs that belong to a transaction: it writes a row, which is sent after its commit and deleted by that of the job.

``send_receipt.send(7)`` then ``db.session.commit()``: without the commit there is no job. The process ``scheduler`` hands
rows that are due to the broker, again and again, until the job has deleted its row in the transaction of its own
effects. So what a broker loses is sent again, and what it delivers twice has one effect. The job does not commit:
``run`` does, when the job has ended. https://microservices.io/patterns/data/transactional-outbox.html
"""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
import structlog
from flask import Flask, current_app
from sqlalchemy.orm import Mapped, mapped_column

from ..sqlalchemy import Base, UTCDateTime, db
from . import Job, Jobs, job_failed, job_retried, jobs, pause
from .failures import Failure

#: The most seconds after which a job that has not ended is sent again: the queue may be long.
LONGEST_WAIT = 3600
#: How long a job that a stopped worker gave back waits for another worker before it is sent again.
GIVEN_BACK = timedelta(seconds=10)
#: Rows that are sent in one transaction.
BATCH = 100


class OutboxRow(Base):
    __tablename__ = "outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(sa.String(200))
    arguments: Mapped[list[Any]] = mapped_column(sa.JSON)
    headers: Mapped[dict[str, str]] = mapped_column(sa.JSON)
    #: When it is sent, or sent again. None if it has failed for good.
    due: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    #: Since when it waits for a start. None while it runs, or if it has failed for good.
    since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent: Mapped[int] = mapped_column(default=0)
    starts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(sa.String(1000))
    failed: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ScheduleRow(Base):
    """When a scheduled job was last due: the scheduler that moves this on sends it, in the same transaction."""

    __tablename__ = "schedule"

    job: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    due: Mapped[int] = mapped_column(sa.BigInteger)


def init_app(app: Flask) -> None:
    found = app.extensions["jobs"]
    found.hand_over, found.run, found.kept, found.keep = add, run, kept, leave
    found.commit, found.lengths = lambda: db.session.commit(), lengths
    found.send_once, found.uncount = send_once, partial(uncount, app)
    found.chores.append(relay)


def add(name: str, seconds: float, key: str, headers: dict[str, str], arguments: Any) -> None:
    """Write the row of a job into the transaction of the session."""
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    row = OutboxRow(id=UUID(key), job=name, arguments=list(arguments), headers=headers, due=due, since=due)
    db.session.add(row)


def relay() -> int:
    """Hand what is due to the broker, and return how many jobs that were. Several relays take different rows."""
    now = datetime.now(UTC)
    due = sa.select(OutboxRow).where(OutboxRow.due <= now).order_by(OutboxRow.due).limit(BATCH)
    rows = db.session.scalars(due.with_for_update(skip_locked=True)).all()
    try:
        for row in rows:
            jobs().publish(row.job, 0, str(row.id), row.headers | {"outbox": str(row.id)}, row.arguments)
            row.sent += 1
            row.due = now + _until_sent_again(row.sent)
    finally:
        # For the rows before the one that the broker did not accept, too.
        db.session.commit()
    return len(rows)


def run(job: Job[Any], headers: Any, args: Any, kwargs: Any) -> object:
    """Run a job in one transaction with the deletion of its row. Without a row, it has already run."""
    if "outbox" not in headers:  # Sent by a release without an outbox.
        return job(*args, **kwargs)
    row = sa.select(OutboxRow).where(OutboxRow.id == (key := UUID(headers["outbox"])))
    found = db.session.scalar(row.with_for_update())
    if found is None or found.failed:
        db.session.rollback()
        return None
    if found.starts >= job.starts:
        _give_up(found, f"It was started {found.starts} times, and its process was ended each time.")
        return None
    found.starts += 1
    found.since = None
    # While it runs, it is not sent again.
    found.due = datetime.now(UTC) + _until_sent_again(found.sent)
    db.session.commit()
    try:
        result = job(*args, **kwargs)
        statement = sa.delete(OutboxRow).where(OutboxRow.id == key).execution_options(synchronize_session=False)
        if not cast(Any, db.session.execute(statement)).rowcount:
            # The same job has ended elsewhere.
            db.session.rollback()
            return None
        db.session.commit()
    except Exception as error:
        db.session.rollback()
        failed = db.session.scalar(row.with_for_update())
        if failed and failed.starts >= job.starts:
            _give_up(failed, f"{type(error).__name__}: {error}")
        elif failed:
            failed.due = failed.since = datetime.now(UTC) + timedelta(seconds=pause(failed.starts))
            db.session.commit()
            job_retried.send(jobs().app, job=job.name)
        raise
    return result


def uncount(app: Flask, keys: Collection[str]) -> None:
    """Take back the starts of jobs that the stop of a worker interrupts: a long job outlives many deployments.

    The broker gives them to another worker at once. If it does not, they are sent again soon.
    """
    with app.app_context():
        now = datetime.now(UTC)
        rows = sa.update(OutboxRow).where(OutboxRow.id.in_([UUID(key) for key in keys]), OutboxRow.starts > 0)
        db.session.execute(rows.values(starts=OutboxRow.starts - 1, since=now, due=now + GIVEN_BACK))
        db.session.commit()


def send_once(job: Job[Any], due: int) -> bool:
    """Send a job if its time is later than that of its row. The first time is noted, and nothing sent."""
    later = sa.update(ScheduleRow).where(ScheduleRow.job == job.name, ScheduleRow.due < due).values(due=due)
    if moved := bool(cast(Any, db.session.execute(later)).rowcount):
        job.send()
    elif db.session.get(ScheduleRow, job.name) is None:
        db.session.add(ScheduleRow(job=job.name, due=due))
    with suppress(sa.exc.IntegrityError):  # Another scheduler has noted the first time.
        db.session.commit()
    return moved


def kept(found: Jobs, wanted: str | None = None) -> list[Failure]:
    """Read the jobs that failed, and delete the one that is wanted."""
    rows = db.session.scalars(sa.select(OutboxRow).where(OutboxRow.failed.is_not(None)))
    failures: list[Failure] = [
        {
            "id": str(row.id),
            "job": row.job,
            "args": row.arguments[0],
            "kwargs": row.arguments[1],
            "error": row.error or "",
            "failed": row.failed.isoformat(timespec="seconds") if row.failed else "",
            "request_id": row.headers.get("request_id", ""),
        }
        for row in rows
    ]
    if wanted:
        db.session.execute(sa.delete(OutboxRow).where(OutboxRow.id == UUID(wanted)))
        db.session.commit()
    return failures


def lengths() -> tuple[int, int, float]:
    """How many jobs wait for a start, how many failed for good, and the seconds that the oldest waits."""
    now = datetime.now(UTC)
    counted = sa.select(sa.func.count(), sa.func.min(OutboxRow.since))
    waiting, oldest = db.session.execute(counted.where(OutboxRow.since <= now)).one()
    failed, _ = db.session.execute(counted.where(OutboxRow.failed.is_not(None))).one()
    db.session.rollback()
    return waiting, failed, (now - oldest).total_seconds() if oldest else 0


def leave(*_: object) -> None:
    """Keep nothing in the broker: the row is there."""


def _give_up(row: OutboxRow, error: str) -> None:
    structlog.get_logger().error("job_failed", job=row.job, job_id=str(row.id), reason=error[:1000])
    row.due, row.since, row.failed, row.error = None, None, datetime.now(UTC), error[:1000]
    db.session.commit()
    job_failed.send(jobs().app, job=row.job, arguments=row.arguments)


def _until_sent_again(sent: int) -> timedelta:
    """Longer than a job may take, and twice as long each time: a job that only waits is not sent much more often."""
    return timedelta(seconds=min((current_app.config["JOB_TIMEOUT"] + 10) * 2 ** min(sent - 1, 9), LONGEST_WAIT))
