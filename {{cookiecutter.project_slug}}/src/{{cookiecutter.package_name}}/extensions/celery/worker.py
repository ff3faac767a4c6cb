"""``worker``: the process that runs jobs, and the worker in a thread of a process that has no broker.

https://docs.celeryq.dev/en/stable/userguide/workers.html
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread, Timer
from typing import TYPE_CHECKING, Any

import click
import structlog
from celery import Celery, bootsteps, signals
from celery.apps import worker as program
from celery.utils.log import get_multiprocessing_logger
from celery.worker import state
from flask.cli import with_appcontext

from . import jobs

if TYPE_CHECKING:
    from . import Jobs

#: Messages between workers, which nothing here needs.
QUIET = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


@click.command("worker")
@with_appcontext
def command() -> None:
    """Run jobs until told to stop."""
    found = jobs()
    if found.embedded:
        raise click.ClickException("BROKER_URL is a broker in memory, which no other process sees.")
    path = health_file(found)
    found = found.enter(True)
    # Celery's log lines and warnings are written like all others.
    logging.captureWarnings(True)
    signals.setup_logging.connect(_leave_logging, weak=False)
    program.safe_say = lambda *_: None  # It bypasses the log to announce a stop, which ``Stop`` logs.
    # SIGHUP stops the worker, too: Celery's own handler would execute a file that is no program.
    program.install_worker_restart_handler = partial(program.install_worker_term_handler, sig="SIGHUP")
    prepare(found)
    if path:
        tell_health(found.celery, path)
    worker = found.celery.Worker(quiet=True, pool_cls="prefork", **QUIET)
    stop = Stop(worker, found)
    signals.worker_shutting_down.connect(stop.begin)
    worker.start()
    sys.exit(0 if stop.begun else worker.exitcode)


class Stop:
    """The end of a worker, in a bounded time.

    On SIGTERM, Celery takes no more jobs and waits for those that run, however long they take. SIGQUIT then gives them
    back to the broker. Celery's own limit waits in the handler of the signal, which may have interrupted a conversation
    with the broker; and a process whose last result nobody reads would stay for half a minute.
    """

    def __init__(self, worker: Any, found: "Jobs") -> None:
        self.worker, self.jobs, self.begun = worker, found, False
        seconds = found.app.config["JOB_STOP_TIMEOUT"]
        # A log line is not for the handler of a signal, which may have interrupted another one.
        self.timers = [Timer(0, self.tell), Timer(seconds, self.give_back), Timer(seconds + 2, self.kill)]

    def begin(self, how: str, **_: object) -> None:
        if how == "Warm" and not self.begun:
            self.begun = True
            for timer in self.timers:
                timer.daemon = True
                timer.start()

    def tell(self) -> None:
        structlog.get_logger().info("worker_stops", jobs=len(state.active_requests))

    def give_back(self) -> None:
        keys = [request.id for request in state.active_requests]
        structlog.get_logger().info("jobs_given_back", job_ids=keys)
        thread = Thread(target=self.jobs.uncount, args=[keys], daemon=True)
        thread.start()
        thread.join(1)  # A database that is away does not hold up the end.
        os.kill(os.getpid(), signal.SIGQUIT)

    def kill(self) -> None:
        with suppress(AttributeError):  # The pool has ended meanwhile.
            for process in self.worker.pool.info["processes"]:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


class Embedded:
    """A worker in a thread of this process: jobs end with the process, and no time limit interrupts them."""

    def __init__(self, found: "Jobs") -> None:
        prepare(found)
        self.ended = Event()
        self.worker = found.celery.WorkController(
            app=found.celery, pool=threads_of(found.celery), concurrency=2, **QUIET
        )
        chores = Thread(target=work, args=[found, self.ended.is_set, self.ended.wait], name="chores", daemon=True)
        jobs = Thread(target=self.worker.start, name="jobs", daemon=True)
        self.threads = [jobs, chores]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.ended.set()
        self.worker.stop()
        for thread in self.threads:
            thread.join()


def threads_of(celery: Celery) -> type[Any]:
    """Threads in which this Celery is the current one. In others it is not, since there may be several."""
    from celery.concurrency.thread import TaskPool

    class Pool(TaskPool):  # type: ignore[misc]
        def on_apply(self, target: Callable[..., object], *args: Any, **kwargs: Any) -> Any:
            def run(*args: Any, **kwargs: Any) -> object:
                celery.set_current()
                return target(*args, **kwargs)

            return super().on_apply(run, *args, **kwargs)

    return Pool


def work(found: "Jobs", ended: Callable[[], bool], wait: Callable[[float], object]) -> None:
    """Do the chores until told to stop. After a round with nothing to do, wait for half a second."""
    while not ended():
        done = 0
        for chore in found.chores:
            try:
                with found.app.app_context():
                    done += chore()
            except Exception as error:  # noqa: BLE001 (whatever it is, there is a next time)
                reason = str(error).partition("\n")[0]
                structlog.get_logger().warning("chore_waits", chore=chore.__name__, reason=reason)
                wait(1)
        if not done:
            wait(0.5)


def prepare(found: "Jobs") -> None:
    """Keep the jobs that end with a failure, and keep their arguments out of the log: these are often personal."""
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").setLevel(logging.CRITICAL)

    def fail(sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: object) -> None:
        # Celery reports a process that it has killed at its time limit twice: the second time, without the request.
        if sender.app is found.celery and sender.request.id == task_id:
            headers = sender.request.headers or {}
            found.keep(found, sender.name, task_id, headers, (args, kwargs), exception)

    def unknown(sender: Any, name: str, message: Any, **sent: Any) -> None:
        if sender.app is found.celery:
            args, kwargs, _embedded = message.payload
            error = LookupError("This release has no job of this name.")
            found.keep(found, name, sent["id"], message.headers, (args, kwargs), error)

    signals.task_failure.connect(fail, weak=False)
    signals.task_unknown.connect(unknown, weak=False)


def health_file(found: "Jobs") -> Path | None:
    """The health file, if there is one, written once: Celery would take a file that it cannot write for a broker away."""
    if not (name := found.app.config["JOB_HEALTH_FILE"]):
        return None
    try:
        Path(name).touch()
    except OSError as error:
        raise click.ClickException(f"JOB_HEALTH_FILE {name} cannot be written: {error.strerror}") from None
    return Path(name)


def tell_health(celery: Celery, path: Path) -> None:
    """Touch a file every second while the worker lives, and have another one, ``.ready``, while it takes jobs.

    The first one rests while the broker is away, which is no reason to start the worker again.
    """
    ready = path.with_name(f"{path.name}.ready")

    class Living(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = ("celery.worker.components:Timer",)

        def start(self, parent: Any) -> None:
            self.entry = parent.timer.call_repeatedly(1.0, path.touch)

        def stop(self, parent: Any) -> None:
            self.entry.cancel()
            path.unlink(missing_ok=True)

    class Ready(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            ready.touch()

        def stop(self, parent: Any) -> None:
            with suppress(OSError):
                ready.unlink()

    celery.steps["worker"].add(Living)
    celery.steps["consumer"].add(Ready)


def _leave_logging(**_: object) -> None:
    """Replace Celery's own set-up of logs. Log lines about processes that die are written like all others, too."""
    get_multiprocessing_logger().propagate = True
