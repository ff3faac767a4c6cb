"""Jobs, for Prometheus: how many are sent, start and fail, how long they wait and take, and the length of the queue.

A worker and a scheduler answer ``/metrics`` at ``METRICS_PORT``, as the server does: those of a worker's processes add up.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from importlib import import_module
from math import nan
from threading import Lock, Thread
from time import perf_counter, time
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import click
from flask import Flask

from ..metrics import Counter, Gauge, Histogram, share
from . import Jobs, broker_unavailable, declared, job_failed, job_retried, job_sent

if TYPE_CHECKING:
    from ...core.settings import Env

#: Upper bounds in seconds, from a job that writes a row to the longest JOB_TIMEOUT, and to a queue of an hour.
BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1500, 3600]


def config(env: "Env") -> dict[str, Any]:
    return {"METRICS_PORT": env.integer("METRICS_PORT", 0, maximum=65535)}


def init_app(app: Flask) -> None:
    from celery import signals

    registry, jobs = app.extensions["metrics"], app.extensions["jobs"]
    # Not "job", which is Prometheus's own word for a service.
    counter = partial(Counter, labelnames=["name"], registry=registry)
    sent = counter("jobs_sent", "Jobs that were sent.")
    started = counter("jobs_started", "Starts of jobs.")
    retried = counter("jobs_retried", "Starts of jobs that failed, after which there is another.")
    failed = counter("jobs_failed", "Jobs that failed for good.")
    refused = Counter("jobs_refused", "Times that the broker took no job.", registry=registry)
    histogram = partial(Histogram, labelnames=["name"], registry=registry, buckets=BUCKETS)
    waits = histogram("job_wait_seconds", "Seconds from when a job was due until it started.")
    durations = histogram("job_duration_seconds", "Seconds until a start of a job ended, also with an exception.")

    job_sent.connect(lambda sender, job: sent.labels(job).inc(), app, weak=False)
    job_retried.connect(lambda sender, job: retried.labels(job).inc(), app, weak=False)
    job_failed.connect(lambda sender, job, **_: failed.labels(job).inc(), app, weak=False)
    broker_unavailable.connect(lambda sender: refused.inc(), app, weak=False)

    def retry(sender: Any, **_: object) -> None:
        if sender.app is jobs.celery:
            retried.labels(sender.name).inc()

    @contextmanager
    def observe(name: str, headers: Mapping[str, Any]) -> Iterator[None]:
        started.labels(name).inc()
        if due := headers.get("due"):
            waits.labels(name).observe(max(0, time() - due))
        begun = perf_counter()
        try:
            yield
        finally:
            durations.labels(name).observe(perf_counter() - begun)

    signals.before_task_publish.connect(tell_time)
    signals.task_retry.connect(retry, weak=False)
    jobs.around.append(observe)
    jobs.enter = partial(enter, app)

    # All workers share the queues: the latest scrape of any worker counts. What is unknown has no line.
    gauge = partial(Gauge, labelnames=["queue"], registry=registry, multiprocess_mode="mostrecent")
    waiting = gauge("jobs_waiting", "Jobs that are due and wait for a start.")
    kept = gauge("jobs_kept", "Jobs that failed for good, and are kept.")
    oldest = gauge("jobs_oldest_seconds", "Seconds since the oldest job that waits was due.")

    def count() -> None:
        for name in declared:  # An alert sees the first failure if there was a zero before.
            failed.labels(name)
        if jobs.forks:
            return
        try:
            in_queue, not_wanted, age = jobs.lengths()
        except Exception:  # noqa: BLE001 (whatever it is, it must not take the other figures along)
            in_queue, not_wanted, age = nan, nan, nan
        queue = jobs.celery.conf.task_default_queue
        waiting.labels(queue).set(in_queue)
        kept.labels(queue).set(not_wanted)
        if age is not None:
            oldest.labels(queue).set(age)

    app.extensions["measures"].append(count)


def tell_time(headers: dict[str, Any], **_: object) -> None:
    """Have each message tell when its job is due."""
    headers["due"] = datetime.fromisoformat(headers["eta"]).timestamp() if headers["eta"] else time()


def enter(app: Flask, forks: bool) -> Jobs:
    """Let a process that is no web server answer ``/metrics``, and return the jobs that it runs."""
    if app.config["METRICS_PORT"] and forks:
        share(app)
        # Processes count in files if the folder was there before the metrics were made.
        app = import_module(app.import_name).create_app()
    jobs: Jobs = app.extensions["jobs"]
    jobs.forks = forks
    if port := app.config["METRICS_PORT"]:
        answer_alone(app, port)
    return jobs


def answer_alone(app: Flask, port: int) -> None:
    """Answer ``/metrics``, and nothing else, in a thread."""
    from celery import signals

    # A process that is forked while the thread holds a lock, that of a logger say, would wait for it for ever.
    answering = Lock()
    os.register_at_fork(before=answering.acquire, after_in_parent=answering.release, after_in_child=answering.release)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        with answering:
            body = app(environ, start_response)
            text = b"".join(body)
            getattr(body, "close", lambda: None)()
            return [text]

    class Handler(WSGIRequestHandler):
        timeout = 2  # Seconds, of a scraper that sends nothing.

        def log_message(self, *_: object) -> None:
            """Leave it to the application's own log of requests."""

    class Server(WSGIServer):
        address_family = socket.AF_INET6 if ":" in app.config["HOST"] else socket.AF_INET

    try:
        server = make_server(app.config["HOST"], port, answer, Server, Handler)
    except OSError as error:
        raise click.ClickException(f"METRICS_PORT {port} cannot be used: {error.strerror}") from None
    # A process that outlives a killed worker would keep the port from the next one.
    signals.worker_process_init.connect(lambda **_: server.server_close(), weak=False)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
