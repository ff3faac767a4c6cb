"""Jobs: functions that a worker process runs later, by Celery.

Declare a job beside what starts it, and start it where it is needed::

    @job("orders.send_receipt")
    def send_receipt(order: int) -> None: ...

    send_receipt.send(7)

Its arguments travel as JSON: pass keys, and not objects. A job that was interrupted is started again, so it has to be
idempotent. https://docs.celeryq.dev/

What differs between brokers is in the extension of its name: ``BROKER``, one of its addresses; ``ADDRESS_OF_BROKER``, a
pattern for them; ``queue(name)``; ``transport(config, name)``, options of the connection; ``prepare_delays(celery)``,
which is called before the first job that is sent for later; ``age(channel, name)``, the seconds for which the oldest
message waits, if that can be had; and ``send_once(celery, name, due, send)``, which sends a scheduled job unless another
scheduler has, and raises ``BlockingIOError`` while another one is at it.
"""

import inspect
import json
import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from secrets import token_hex
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, cast
from uuid import uuid4

import structlog
from blinker import Namespace
from flask import Flask, current_app
from structlog.contextvars import bound_contextvars
from werkzeug.exceptions import ServiceUnavailable

from ... import modules
from ...core.logs import request_id

if TYPE_CHECKING:
    from celery import Celery

    from ...core.settings import Env
    from .worker import Embedded

P = ParamSpec("P")

#: The broker of development and of tests, in the memory of the process.
EMBEDDED = "memory://"
#: The most bytes of a job's arguments. Keep larger data in a store, and pass its key.
LARGEST = 256 * 1024
#: The most levels of lists and dictionaries in them: a worker copies them by recursion, which crashes it beyond that.
DEEPEST = 100
#: Seconds between the first and the second start of a job that fails. They double each time, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 5, 300
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")

_signals = Namespace()
#: Sent when a job was sent, with the application as the sender and ``job`` (str), its name.
job_sent = _signals.signal("job_sent")
#: Sent in the same way when a start of a job has failed and there is another, and when it failed for good, which also has
#: ``arguments``, a list and a dictionary.
job_retried, job_failed = _signals.signal("job_retried"), _signals.signal("job_failed")
#: Sent when the broker does not take a job, with the application as the sender.
broker_unavailable = _signals.signal("broker_unavailable")

#: Every job of this process, by its name.
declared: dict[str, "Job[Any]"] = {}


class TooLargeError(ValueError):
    """The arguments of a job have more bytes than ``LARGEST``, or nest deeper than ``DEEPEST``."""


class Job(Generic[P]):
    """A function with a name, under which messages call it. The name stays though the function moves."""

    def __init__(
        self, name: str, function: Callable[P, object], starts: int, every: timedelta | None, at: timedelta
    ) -> None:
        self.name, self.function, self.starts, self.every, self.at = name, function, starts, every, at
        self.parameters = inspect.signature(function)
        if every:
            self.parameters.bind()  # Nobody gives it arguments.

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> object:
        """Call the function, here and now."""
        return self.function(*args, **kwargs)

    def send(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Have a worker run it, and return the job's id. If the broker does not accept it, the request is answered 503."""
        return jobs().send(self, 0, args, kwargs)

    def send_after(self, seconds: float, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Have a worker run it in so many seconds."""
        return jobs().send(self, seconds, args, kwargs)


def job(
    name: str, starts: int = 3, every: timedelta | None = None, at: timedelta = timedelta()
) -> Callable[[Callable[P, object]], Job[P]]:
    """Declare a job.

    :param name: its name in messages and logs, such as ``orders.send_receipt``.
    :param starts: how often it is started at most, if it raises an exception or its process is killed.
    :param every: how often the process ``scheduler`` sends it; it then has no arguments. The times do not depend on
        when a process was started: for a day, they are each midnight of UTC; for an hour, each full hour.
    :param at: how long after these times it is due: ``every=timedelta(days=1), at=timedelta(hours=3)`` is at three.
    """

    def declare(function: Callable[P, object]) -> Job[P]:
        if not NAME.fullmatch(name):
            raise ValueError(f"The name of a job is a word, a dot and a word, such as orders.send_receipt: {name}")
        if (other := declared.get(name)) and _place(other.function) != _place(function):
            raise ValueError(f"Two jobs are called {name}: {_place(other.function)} and {_place(function)}")
        declared[name] = made = Job(name, function, starts, every, at)
        return made

    return declare


def config(env: "Env") -> dict[str, Any]:
    example, pattern = chosen_broker().BROKER, f"{EMBEDDED}|{chosen_broker().ADDRESS_OF_BROKER}"
    expected = f"Set it to the address of the broker, such as {example}"
    url = env.text("BROKER_URL", "" if env.production else EMBEDDED, pattern=pattern, hint=expected)
    # Imported here, as Celery is below.
    from kombu.utils.url import parse_url

    try:
        wrong = not url or parse_url(url)["port"] == 0
    except (KeyError, ValueError):  # An option of TLS, the port, or the password is wrong.
        wrong = True
    if wrong:
        env.refuse("BROKER_URL", expected)
    return {
        "BROKER_URL": url,
        # Seconds of a connection, and of an answer. A request waits three times as long at most.
        "BROKER_TIMEOUT": env.number("BROKER_TIMEOUT", 1.0, minimum=0.1, maximum=60),
        # Processes of a worker; each runs one job at a time.
        "JOB_CONCURRENCY": env.integer("JOB_CONCURRENCY", 2, minimum=1, maximum=64),
        # RabbitMQ gives a job that is not finished after 30 minutes to another worker.
        "JOB_TIMEOUT": env.integer("JOB_TIMEOUT", 60, minimum=1, maximum=1500),
        # Seconds; below the grace period of whatever stops the worker.
        "JOB_STOP_TIMEOUT": env.integer("JOB_STOP_TIMEOUT", 20, minimum=1, maximum=1500),
        "JOB_HEALTH_FILE": env.text("JOB_HEALTH_FILE", ""),
    }


def init_app(app: Flask) -> None:
    # Imported here, because it imports Celery, which reads the process environment and takes its time.
    from . import failures, scheduler, worker

    if app.config["BROKER_URL"] == EMBEDDED and app.config["APP_ENV"] == "production":
        structlog.get_logger().warning("embedded_broker", expected=chosen_broker().BROKER)
    app.extensions["jobs"] = Jobs(app)
    app.cli.add_command(worker.command)
    app.cli.add_command(scheduler.command)
    app.cli.add_command(failures.commands)


def jobs() -> "Jobs":
    """The jobs of this application."""
    return cast("Jobs", current_app.extensions["jobs"])


def chosen_broker() -> ModuleType:
    """The module of the broker that was chosen."""
    (found,) = [module for module in modules.load() if hasattr(module, "BROKER")]
    return found


class Jobs:
    """How one application sends and runs jobs. Further options change it while the application is made."""

    def __init__(self, app: Flask) -> None:
        from . import failures, scheduler
        from .broker import make_celery

        self.app = app
        self.embedded = app.config["BROKER_URL"] == EMBEDDED
        self.celery: Celery = make_celery(self)
        #: Headers of messages: each of these is called when a job is sent, and returns some.
        self.carried: list[Callable[[], Mapping[str, str]]] = [lambda: {"request_id": request_id() or token_hex(16)}]
        #: Context managers around each start of a job: each is called with its name and its headers.
        self.around: list[Callable[[str, Mapping[str, str]], AbstractContextManager[object]]] = []
        # An outbox replaces these: how a job is handed over, by its name, with the seconds until it is due, its id, its
        # headers and its arguments; how it is run; how its last failure is kept, and read again; what ends a command
        # that sends jobs; how many jobs wait; and what takes back the starts that the stop of a worker has interrupted,
        # which a broker does not count.
        self.hand_over: Callable[[str, float, str, dict[str, str], Any], None] = self.publish
        self.run: Callable[[Job[Any], Mapping[str, str], Any, Any], object] = _call
        self.keep, self.kept = failures.keep, failures.take
        self.commit: Callable[[], object] = lambda: None
        self.lengths: Callable[[], tuple[int, int, float | None]] = self._lengths
        self.uncount: Callable[[Collection[str]], object] = lambda keys: None
        # How a job that is due at a time, in seconds, is sent, by one of several schedulers.
        self.send_once: Callable[[Job[Any], int], bool] = self._send_once
        #: Called when a worker (with True, because it forks) or a scheduler starts: returns the jobs that it runs.
        self.enter: Callable[[bool], Jobs] = lambda forks: self
        #: What the process ``scheduler`` does in each round. Each returns how many jobs it has sent.
        self.chores: list[Callable[[], int]] = [scheduler.Schedule().send_due]
        self.noted: set[str] = set()
        self.prepared = False
        #: Whether this process forks: its children would inherit connections, so it opens none.
        self.forks = False
        self.worker: Embedded | None = None

    def send(self, job: Job[Any], seconds: float, args: Any, kwargs: Any) -> str:
        job.parameters.bind(*args, **kwargs)
        try:
            size = len(json.dumps([args, kwargs], allow_nan=False).encode())
            deep = _nest_deep([*args, *kwargs.values()])
        except RecursionError:
            size, deep = 0, True
        except (TypeError, ValueError) as error:
            raise TypeError(f"The arguments of {job.name} must be JSON, such as a key as text: {error}") from None
        if deep:
            raise TooLargeError(f"The arguments of {job.name} nest deeper than {DEEPEST} levels.")
        if size > LARGEST:
            raise TooLargeError(f"The arguments of {job.name} have {size} bytes: at most {LARGEST} are sent.")
        headers = {name: value for carry in self.carried for name, value in carry().items()}
        self.hand_over(job.name, seconds, key := str(uuid4()), headers, (args, kwargs))
        job_sent.send(self.app, job=job.name)
        self.begin()
        return key

    def publish(self, name: str, seconds: float, key: str, headers: dict[str, str], arguments: Any) -> None:
        """Hand a job to the broker. The broker has it when this returns."""
        from celery.exceptions import OperationalError

        longest = self.celery.conf.broker_transport_options.get("visibility_timeout", 2 * 86400) // 2
        if seconds > longest:
            raise ValueError(f"The broker would start {name} more than once: send it after {longest} seconds at most.")
        later = {"countdown": seconds} if seconds else {}
        try:
            if seconds and not self.embedded and not self.prepared:
                chosen_broker().prepare_delays(self.celery)
                self.prepared = True
            self.celery.send_task(name, *arguments, headers=headers, task_id=key, **later)
        except OperationalError as error:
            structlog.get_logger().warning("broker_unavailable", reason=str(error))
            broker_unavailable.send(self.app)
            raise ServiceUnavailable("The queue of jobs is unavailable.", retry_after=5) from error

    def _lengths(self) -> tuple[int, int, float | None]:
        """How many jobs wait in the broker, how many failed and are kept, and the seconds that the oldest waits."""
        from .broker import connect

        name = self.celery.conf.task_default_queue
        with self.celery.connection_for_write() as connection, connect(connection).channel() as channel:
            queues = [chosen_broker().queue(each)(channel) for each in (name, f"{name}.failed")]
            waiting, failed = (queue.queue_declare().message_count for queue in queues)
            return waiting, failed, None if self.embedded else chosen_broker().age(channel, name)

    def _send_once(self, job: Job[Any], due: int) -> bool:
        if self.embedded:  # As with a broker, the first time is only recorded.
            noted, self.noted = self.noted, self.noted | {job.name}
            return job.name in noted and bool(job.send())
        sent: bool = chosen_broker().send_once(self.celery, job.name, due, job.send)
        return sent

    def begin(self) -> None:
        """Start a worker in this process, once, if the broker is in its memory. Tests run jobs themselves."""
        if self.embedded and not self.worker and not self.app.testing:
            from .worker import Embedded

            self.worker = Embedded(self)

    def stop(self) -> None:
        """Stop the worker in this process, if there is one."""
        if self.worker:
            self.worker.stop()
            self.worker = None

    @contextmanager
    def context(self, name: str, key: str, headers: Mapping[str, str]) -> Iterator[None]:
        """What a job runs in: the application, and the id of the request that sent it in each line of the log."""
        with ExitStack() as stack:
            stack.enter_context(self.app.app_context())
            names = {"service": self.app.name, "request_id": headers.get("request_id", ""), "job": name, "job_id": key}
            stack.enter_context(bound_contextvars(**names))
            yield

    @contextmanager
    def observed(self, name: str, headers: Mapping[str, str]) -> Iterator[None]:
        """What is around one start of a job, and sees its exception."""
        with ExitStack() as stack:
            for around in self.around:
                stack.enter_context(around(name, headers))
            yield


def pause(starts: int) -> float:
    """Seconds until the next start of a job that was started so often: they double each time, with jitter."""
    longest: float = min(FIRST_PAUSE * 2 ** (starts - 1), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1)  # noqa: S311


def _call(job: Job[Any], headers: Mapping[str, str], args: Any, kwargs: Any) -> object:
    return job(*args, **kwargs)


def _nest_deep(values: Iterable[Any]) -> bool:
    for _ in range(DEEPEST + 1):
        lists = [value for value in values if isinstance(value, dict | list | tuple)]
        values = [value for found in lists for value in (found.values() if isinstance(found, dict) else found)]
        if not values:
            return False
    return True


def _place(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
