"""``scheduler``: the process that hands jobs to the broker when they are due. Any number of them may run.

A job with ``every`` is due at times that all schedulers compute alike. The scheduler that first records such a time,
where all of them look, sends the job. Times that pass while no scheduler runs are made up for by one job.
"""

import signal
import time
from contextlib import suppress
from threading import Event

import click
import structlog
from flask.cli import with_appcontext

from . import declared, jobs
from .worker import health_file, work


class Schedule:
    """The last time of each job that this scheduler knows, so that it asks no store before the next time."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def send_due(self) -> int:
        """Send jobs that are due, unless another scheduler has, and return how many that were."""
        sent = 0
        for job in [job for job in declared.values() if job.every]:
            due = last_time(time.time(), job.every.total_seconds(), job.at.total_seconds())  # type: ignore[union-attr]
            if due > self.known.get(job.name, 0):
                with suppress(BlockingIOError):  # Another scheduler is sending it: ask again in the next round.
                    if jobs().send_once(job, due):
                        structlog.get_logger().info("job_scheduled", job=job.name, due=due)
                        sent += 1
                    self.known[job.name] = due
        return sent


def last_time(now: float, every: float, at: float) -> int:
    """The last time at which something was due: the same in every process."""
    return int((now - at) // every * every + at)


@click.command("scheduler")
@with_appcontext
def command() -> None:
    """Hand jobs that are due to the broker until told to stop."""
    path = health_file(jobs())
    found, stop = jobs().enter(False), Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def ended() -> bool:
        """Asked at each round, of which the last one ends."""
        if path:
            path.touch()
        return stop.is_set()

    work(found, ended, stop.wait)
    if path:
        path.unlink(missing_ok=True)
