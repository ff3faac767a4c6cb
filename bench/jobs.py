"""Events that are accepted and jobs that are run in a second: the preset ``ingest``, beside bare Flask with bare Celery.

On a Redis of its own, which writes each command to the disk before it answers; on the same two cores as wrk.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from manifest import answers_of
from measure import BUILD, CONTENDERS, Goal, Ratio, Table, interleave, make, save, services_environment, settings
from running import Server, clean_environment, serving, until
from servers import private
from serving import granian, load, need_wrk

ROUNDS, CONNECTIONS, JOBS = 7, 16, 2000
EVENT = json.dumps({"type": "page.viewed", "data": {"page": 7, "of": "a visitor"}})
#: What a request sends: its media type, and its body.
BODIES = {
    "one event": ("application/json", EVENT),
    "100 events, a line each": ("application/x-ndjson", "\n".join([EVENT] * 100)),
}
SERVICE, BARE = "ingest", "bare Flask, bare Celery"
WHY = "the service checks an event, counts it, and logs a line for the request and for the job; the bare one does nothing of that."


def accept(server: Server, body: str) -> float:
    """Requests a second, all of which are accepted."""
    kind, sent = BODIES[body]
    script = BUILD / "post.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [==[{sent}]==]\nwrk.headers['Content-Type'] = '{kind}'\n", encoding="utf-8"
    )
    return load(server, "/api/v1/events", CONNECTIONS, "-s", str(script)).rate


@contextmanager
def worker(command: list[str | Path], folder: Path, log: Path, **variables: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=clean_environment(**variables), stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def work(redis: Any, queue: str, unacked: str, running: Callable[[], AbstractContextManager[None]]) -> float:
    """Jobs a second, of a worker with two processes that finds them in the queue."""

    def left() -> int:
        return int(redis.llen(queue)) + int(redis.hlen(unacked))

    assert left() == JOBS, left()
    with running():
        until(lambda: left() < JOBS * 0.9, 60)
        first, begun = left(), time.perf_counter()
        until(lambda: left() == 0, 120)
        return first / (time.perf_counter() - begun)


def main() -> None:
    need_wrk()
    from redis import Redis

    logs, programs = BUILD / "logs", services_environment()
    logs.mkdir(parents=True, exist_ok=True)
    service = make("ingest", "jobs.py", **answers_of("ingest"))
    with private("redis") as broker, ExitStack() as stack:
        redis = stack.enter_context(Redis.from_url(broker.url))
        bare = {"BROKER_URL": broker.url, "PYTHONPATH": str(CONTENDERS)}
        ours = settings(service, BROKER_URL=broker.url)
        command = f"exec {' '.join(granian('bare_jobs:create_app'))}"
        started = [programs / "python", "-m", "flask_service"]
        servers = {
            BARE: stack.enter_context(serving(CONTENDERS, logs / "bare-jobs.log", ["sh", "-c", command], **bare)),
            SERVICE: stack.enter_context(serving(service, logs / "ingest.log", [*map(str, started), "serve"], **ours)),
        }

        def turn(name: str, body: str) -> float:
            redis.flushall()
            return accept(servers[name], body)

        pairs = {(name, body): partial(turn, name, body) for body in BODIES for name in servers}
        for measure in pairs.values():
            measure()
        accepted = interleave(pairs, ROUNDS)
    with private("redis") as broker, Redis.from_url(broker.url) as redis:
        bare["BROKER_URL"] = ours["BROKER_URL"] = broker.url
        quiet = ["--without-gossip", "--without-mingle", "--loglevel=WARNING"]
        celery = [programs / "celery", "--app=bare_jobs", "worker", *quiet]
        made = "import flask_service; flask_service.create_app().app_context().push()"
        fill = "[process.{}([{{'type': 'a'}}]) for _ in range({})]"
        sends = {
            BARE: (f"import bare_jobs; process = bare_jobs.process; {fill.format('delay', JOBS)}", bare),
            SERVICE: (
                f"{made}; from flask_service.blueprints.bench import process; {fill.format('send', JOBS)}",
                ours,
            ),
        }

        def send(name: str) -> None:
            code, variables = sends[name]
            run = [programs / "python", "-c", code]
            subprocess.run(run, check=True, env=clean_environment(**variables), capture_output=True)

        workers = {
            BARE: partial(worker, celery, CONTENDERS, logs / "bare-worker.log", **bare),
            SERVICE: partial(worker, [*started, "worker"], service, logs / "worker.log", **ours),
        }
        queues = {BARE: ("celery", "unacked"), SERVICE: ("flask_service", "flask_service.unacked_key")}

        def finish(name: str) -> float:
            # A worker that is stopped between taking its last job and noting that may put it back.
            redis.flushall()
            send(name)
            return work(redis, *queues[name], workers[name])

        finished = interleave({name: partial(finish, name) for name in workers}, ROUNDS)
    rows, bars, goals = [], {}, []
    measured = {f"{body}: requests": {name: accepted[name, body] for name in servers} for body in BODIES}
    measured["a job that does nothing"] = finished
    for what, rates in measured.items():
        ratio = Ratio.of(rates[SERVICE], rates[BARE])
        bars[what] = ratio.median
        rows.append([what, str(ratio), *(f"{median(rates[name]):,.0f}" for name in (SERVICE, BARE))])
        goals.append(Goal(f"`ingest`, {what} a second beside {BARE}", ratio, 0.8, True, why=WHY))
    note = (
        f"A request is answered when Redis has its message on the disk. {CONNECTIONS} connections, two processes each, the "
        "same server. The service checks each event by its type, has a request id, an access log, metrics and security "
        "headers; the bare view checks nothing. Of jobs, both acknowledge at the end and take one at a time; the service "
        "runs each in a context of the application and writes a line of its log."
    )
    save("jobs", [Table("Events and jobs", note, ["", "a second, ratio", SERVICE, BARE], rows, bars)], goals)


if __name__ == "__main__":
    main()
