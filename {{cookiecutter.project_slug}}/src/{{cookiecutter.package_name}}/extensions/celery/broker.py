"""Celery, set up: each setting for a reason that was measured by killing workers and brokers.

https://docs.celeryq.dev/en/stable/userguide/configuration.html
"""

import json
from time import perf_counter
from typing import TYPE_CHECKING, Any

import structlog
from celery import Celery, Task
from celery.exceptions import Reject
from kombu.serialization import register

from . import EMBEDDED, LONGEST_PAUSE, chosen_broker, declared, pause

if TYPE_CHECKING:
    from . import Jobs

#: Celery's own JSON makes objects of dictionaries with the keys ``__type__`` and ``__value__``, and drops a message in
#: which that fails. A client may have chosen the keys.
PLAIN = "plain"
register(PLAIN, json.dumps, json.loads, "application/x-plain-json", "utf-8")  # type: ignore[no-untyped-call]


def make_celery(jobs: "Jobs") -> Celery:
    """The Celery of one application, which knows of no other: nothing of it is current for the process."""
    app, config = jobs.app, jobs.app.config
    # The broker in memory is one for the process, and applications are several.
    name = f"{app.name}-{id(app)}" if jobs.embedded else app.name
    queue = chosen_broker().queue(name)
    celery = Celery(app.name, set_as_current=False, fixups=[], task_cls=task_of(jobs))
    celery.conf.update(
        accept_content=[PLAIN],
        task_serializer=PLAIN,
        # What became of a job is for the job to write where somebody reads it.
        task_ignore_result=True,
        timezone="UTC",
        # Where jobs go, in the same words for those who send and those who run them.
        task_queues=[queue],
        task_default_queue=queue.name,
        task_default_exchange=queue.exchange.name,
        task_default_exchange_type=queue.exchange.type,
        task_default_routing_key=queue.routing_key,
        task_create_missing_queues=False,
        # One more attempt, at once: brokers close connections that were idle.
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
        broker_url=config["BROKER_URL"],
        broker_connection_timeout=config["BROKER_TIMEOUT"],
        broker_pool_limit=config["WEB_THREADS"],
        broker_transport_options=options(config, name),
        broker_heartbeat=10,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A broker that is full, or read-only, is one that comes back.
        broker_channel_error_retry=True,
        # Acknowledged at the end: a job whose process was killed is started again, but not for ever.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_retry_on_worker_lost=True,
        task_soft_time_limit=config["JOB_TIMEOUT"],
        task_time_limit=config["JOB_TIMEOUT"] + 5,
        worker_prefetch_multiplier=1,
        worker_concurrency=config["JOB_CONCURRENCY"],
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    for name, made in declared.items():
        # By default, Celery would add the task to every application of the process, and check arguments when it sends a
        # job again: one that an earlier release has sent with other arguments would start without a pause or an end.
        celery.task(made.function, name=name, shared=False, typing=False, max_retries=made.starts - 1)
    return celery


def options(config: Any, name: str) -> dict[str, Any]:
    """Options of the connection: an attempt to connect is not repeated, and no broker is waited for without an end."""
    if config["BROKER_URL"] == EMBEDDED:
        return {"polling_interval": 0.05}
    found: dict[str, Any] = chosen_broker().transport(config, name)
    return {"max_retries": 1, "interval_start": 0} | found


def connect(connection: Any) -> Any:
    """Connect, and return the connection: by itself, kombu would wait two seconds before its second attempt."""
    return connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)


def task_of(jobs: "Jobs") -> type[Task]:
    """The class of the application's tasks."""

    class InContext(Task):  # type: ignore[misc]
        """Runs in a context of the application, and is started again after a failure."""

        default_retry_delay = 5
        Request = f"{__package__}.request:AcknowledgedRequest"

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            headers = self.request.headers or {}
            with jobs.context(self.name, self.request.id or "", headers):
                begun = perf_counter()
                try:
                    with jobs.observed(self.name, headers):
                        result = jobs.run(declared[self.name], headers, args, kwargs)
                    structlog.get_logger().info("job", ms=round((perf_counter() - begun) * 1000, 2))
                    return result
                except Exception as error:
                    structlog.get_logger().warning("job_raised", exc_info=error)
                    if self.request.is_eager:
                        raise
                    if "outbox" in headers:  # Its row says when it is started again.
                        return None
                    raise self._again(error) from error

        def _again(self, error: Exception) -> Exception:
            """Hand it to the broker for another start, or return the error, with which it ends."""
            limit = self.app.conf.broker_transport_options.get("visibility_timeout", 2 * LONGEST_PAUSE) / 2
            countdown = min(pause(self.request.retries + 1), limit)
            answer: Exception
            try:
                answer = self.retry(exc=error, countdown=countdown, throw=False)
            except Reject as rejection:
                # The broker did not take it. What the broker has given to this worker, it then gives to another.
                answer = Reject(rejection.reason, requeue=True)
            except Exception as last:  # noqa: BLE001 (that of the job, which was started often enough)
                answer = last
            return answer

    return InContext
