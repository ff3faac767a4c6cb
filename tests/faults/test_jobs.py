"""Jobs while workers, schedulers and brokers are killed and stopped: what is lost, and what runs twice, counted.

Redis is a server of the test's own, RabbitMQ a virtual host of the machine's, PostgreSQL a server of the test's own.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from databases import private as private_database
from loading import children
from running import SLACK_SECONDS, clean_environment, free_port, until
from servers import Private, listening, private
from servers.faults import black_hole, refusing, silent
from servers.rabbitmq import vhost

#: Seconds.
OUTAGE = 300
SEED = int(os.environ.get("SEED", "1"))
#: A service with jobs that write what they do: into a file, or into a table if there is a database.
TRIAL = """
import os, signal, sys, time
from datetime import timedelta
from pathlib import Path

import click
import PACKAGE as package
from flask import request
from flask.cli import FlaskGroup, with_appcontext
from PACKAGE.extensions.celery import job

EVENTS = Path(os.environ["EVENTS"])
try:
    import sqlalchemy as sa
    from PACKAGE.extensions.sqlalchemy import db
except ImportError:
    db = None


def tell(*words):
    with EVENTS.open("a") as file:
        file.write(" ".join(map(str, words)) + "\\n")


@job("trial.note", starts=int(os.environ.get("STARTS", "3")))
def note(k, seconds=0):
    tell("start", k, os.getpid())
    time.sleep(seconds)
    if db:
        db.session.execute(sa.text("INSERT INTO effects VALUES (:k)"), {"k": k})
    tell("end", k, os.getpid())


@job("trial.die")
def die(k):
    tell("start", k, os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


if os.environ.get("EVERY"):
    @job("trial.tick", every=timedelta(seconds=float(os.environ["EVERY"])))
    def tick():
        tell("tick", int(time.time() // float(os.environ["EVERY"])), os.getpid())


if not os.environ.get("OLD"):
    @job("trial.new")
    def new(k):
        tell("end", k, os.getpid())


def commit():
    if db:
        db.session.commit()


@click.command("many")
@click.argument("first", type=int)
@click.argument("last", type=int)
@click.argument("seconds", type=float)
@with_appcontext
def many(first, last, seconds):
    for k in range(first, last):
        note.send(k, seconds)
        commit()


@click.command("later")
@click.argument("k", type=int)
@click.argument("seconds", type=float)
@with_appcontext
def later(k, seconds):
    note.send_after(seconds, k)
    commit()


@click.command("effects")
@with_appcontext
def effects():
    counts = ["count(*) FROM effects", "count(DISTINCT k) FROM effects", "count(*) FROM outbox"]
    print(*(db.session.scalar(sa.text(f"SELECT {count}")) for count in counts))


@click.command("table")
@with_appcontext
def table():
    db.session.execute(sa.text("CREATE TABLE effects (k integer)"))
    commit()


make = package.create_app


def create_app(config=None):
    app = make(config)
    for command in (many, later, effects):
        app.cli.add_command(command)
    app.cli.add_command(table)

    @app.post("/notes/<int:k>")
    def send(k):
        note.send(k)
        commit()
        return {"sent": k}, 202

    return app


package.create_app = create_app
if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""


@dataclass
class Lab:
    """One service with a broker, and what it runs."""

    script: Path
    folder: Path
    settings: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def environment(self, **more: str) -> dict[str, str]:
        source = str(self.script.parent / "src")
        fixed = {"PYTHONPATH": source, "SECRET_KEY": "0123456789abcdef" * 3, "EVENTS": str(self.folder / "events")}
        return clean_environment(**fixed | self.settings | more)

    def start(self, *command: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a process of the service; a worker, until it takes jobs."""
        health = self.folder / f"health{len(self.running)}"
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(self.script), *command],
                env=self.environment(JOB_HEALTH_FILE=str(health), **more),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running.append(process)
        if command == ("worker",):
            until(lambda: process.poll() is not None or Path(f"{health}.ready").exists(), 30)
            assert process.poll() is None, self.log.read_text()
        return process

    def run(self, *command: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, str(self.script), *command],
            env=self.environment(**more),
            cwd=self.script.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def send(self, first: int, last: int, seconds: float = 0) -> None:
        self.run("many", str(first), str(last), str(seconds))

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """A worker with its children, as when a machine is lost."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def count(self, what: str) -> Counter[int]:
        events = self.folder / "events"
        lines = events.read_text().splitlines() if events.exists() else []
        return Counter(int(line.split()[1]) for line in lines if line.startswith(f"{what} "))

    def events(self) -> list[str]:
        """What the log tells, each line of which is JSON."""
        lines = self.log.read_text().splitlines()
        assert all(line.startswith("{") for line in lines), [line for line in lines if not line.startswith("{")]
        return [json.loads(line)["event"] for line in lines]

    def gave_up(self) -> bool:
        """Whether the log tells that a job has failed for good: to look at that again and again starts no process."""
        return self.log.exists() and '"job_failed"' in self.log.read_text()

    def failures(self) -> list[str]:
        return self.run("jobs", "list").splitlines()

    def close(self) -> None:
        for process in self.running:
            self.kill(process)


@pytest.fixture
def redis() -> Iterator[Private]:
    with private("redis") as server:
        yield server


@pytest.fixture
def lab(bake: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make a service with a broker: ``lab("celery_redis", BROKER_URL=...)``."""
    made: list[Lab] = []

    def make(jobs: str, sql: str = "none", **settings: str) -> Lab:
        baked = bake(jobs=jobs, sql=sql, project_name="Faults of jobs")
        script = baked.path / "trial.py"
        script.write_text(TRIAL.replace("PACKAGE", baked.answers["package_name"]))
        found = Lab(script, tmp_path, {"JOB_TIMEOUT": "1", "JOB_STOP_TIMEOUT": "2"} | settings)
        made.append(found)
        if sql != "none":
            found.run("first-migration")
            found.run("db", "upgrade")
            found.run("table")
        return found

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=["celery_redis", "celery_rabbitmq"])
def either(request: pytest.FixtureRequest, lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A service with each broker."""
    with private("redis") if request.param == "celery_redis" else vhost() as broker:
        yield lab(request.param, BROKER_URL=broker.url if isinstance(broker, Private) else broker)


@pytest.mark.short
def test_a_worker_runs_what_was_sent(either: Lab) -> None:
    either.send(0, 20)
    worker = either.start("worker")
    until(lambda: len(either.count("end")) == 20, 30)
    assert max(either.count("end").values()) == 1
    begun = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    print(f"an idle worker stopped after {time.monotonic() - begun:.1f} s")
    events = either.events()
    assert events.count("job") == 20
    assert events.count("worker_stops") == 1


@pytest.mark.short
def test_a_job_that_kills_its_process_ends(either: Lab) -> None:
    """After three starts. It is kept, and the worker goes on."""
    either.run("jobs", "send", "trial.die", '{"k": 1}')
    either.start("worker")
    until(lambda: either.count("start")[1] == 3 and either.failures(), 60)
    either.send(2, 3)
    until(lambda: either.count("end")[2] == 1, 10)
    (line,) = either.failures()
    assert "trial.die" in line
    assert "WorkerLostError" in line
    assert either.count("start")[1] == 3


@pytest.mark.short
def test_a_job_that_is_unknown_is_kept(either: Lab) -> None:
    """To a worker of an older release, which goes on. A worker of the new one runs it when it is sent again."""
    either.run("jobs", "send", "trial.new", '{"k": 1}')
    old = either.start("worker", OLD="yes")
    until(either.failures, 20)
    either.send(2, 3)
    until(lambda: either.count("end")[2] == 1, 10)
    either.kill(old)
    (line,) = either.failures()
    assert "This release has no job of this name." in line
    either.run("jobs", "retry", line.split()[0])
    either.start("worker")
    until(lambda: either.count("end")[1] == 1, 20)
    assert either.failures() == []


@pytest.mark.short
def test_a_running_job_goes_back_when_the_worker_stops(either: Lab) -> None:
    """After JOB_STOP_TIMEOUT, and another worker starts it at once."""
    either.settings |= {"JOB_TIMEOUT": "20"}
    either.send(1, 2, 8)
    first = either.start("worker")
    until(lambda: either.count("start")[1] == 1, 10)
    begun = time.monotonic()
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    stopped = time.monotonic() - begun
    either.start("worker")
    again = until(lambda: either.count("start")[1] == 2, 20)
    print(f"stopped after {stopped:.1f} s, started again {again:.1f} s after the next worker was ready")
    assert stopped < 2 + 5
    until(lambda: either.count("end")[1] == 1, 15)
    events = either.events()
    assert [event for event in events if event in ("worker_stops", "jobs_given_back")] == [
        "worker_stops",
        "jobs_given_back",
    ]


@pytest.mark.parametrize("starts", [pytest.param(1, marks=pytest.mark.short), 3])
@pytest.mark.parametrize("broker", ["celery_redis", "celery_rabbitmq", "outbox"])
def test_a_stop_is_no_start(broker: str, starts: int, lab: Callable[..., Lab], tmp_path: Path) -> None:
    """Rolling deployments do not use up the starts of a long job: it ends after more of them than it has starts."""
    with ExitStack() as stack:
        jobs = "celery_rabbitmq" if broker == "celery_rabbitmq" else "celery_redis"
        url = stack.enter_context(vhost()) if jobs == "celery_rabbitmq" else stack.enter_context(private("redis")).url
        settings = {"BROKER_URL": url, "JOB_TIMEOUT": "20", "JOB_STOP_TIMEOUT": "1", "STARTS": str(starts)}
        if broker == "outbox":
            database = f"sqlite:///{tmp_path / 'trial.sqlite'}"
            found = lab(jobs, "sqlite", DATABASE_URL=database, **settings)
            found.start("scheduler")
        else:
            found = lab(jobs, **settings)
        found.send(1, 2, 5)
        for stops in range(1, starts + 2):
            worker = found.start("worker")
            waited = until(lambda stops=stops: found.count("start")[1] == stops or found.gave_up(), 60)
            assert not found.gave_up()
            print(f"{broker}: start {stops} {waited:.1f} s after the worker was ready")
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0
            assert not found.count("end")
        found.start("worker")
        until(lambda: found.count("end")[1] == 1 or found.gave_up(), 60)
        assert not found.failures()


def test_sigterm_under_load_loses_nothing(either: Lab) -> None:
    either.settings |= {"JOB_TIMEOUT": "5"}
    either.send(0, 2000)
    chance = random.Random(SEED)
    for _ in range(8):
        worker = either.start("worker")
        time.sleep(chance.uniform(0.2, 0.6))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    ran = len(either.count("end"))
    either.start("worker")
    until(lambda: len(either.count("end")) == 2000, 120)
    ends = either.count("end")
    print(f"2000 jobs, 8 SIGTERMs, {ran} before the last: 0 lost, {sum(n > 1 for n in ends.values())} ran twice")


def test_sigkill_of_workers(either: Lab, request: pytest.FixtureRequest) -> None:
    """On RabbitMQ nothing is lost; on Redis what a worker has just taken may be, and nothing else."""
    jobs, kills = 1000, 20
    either.send(0, jobs, 0.01)
    chance = random.Random(SEED)
    for number in range(kills):
        worker = either.start("worker")
        time.sleep(chance.uniform(0.1, 0.6))
        if number % 4 == 3:  # A child alone, as when memory runs out.
            os.kill(chance.choice(children(worker.pid)), signal.SIGKILL)
            time.sleep(0.5)
        either.kill(worker)
    either.start("worker")
    # Redis gives back what was taken after 32 seconds.
    with suppress(AssertionError):
        until(lambda: len(either.count("end")) == jobs, 120)
    ends = either.count("end")
    lost = jobs - len(ends)
    print(f"{jobs} jobs, {kills} SIGKILLs: {lost} lost, {sum(n > 1 for n in ends.values())} ran more than once")
    if "rabbitmq" in request.node.name:
        assert lost == 0
    else:
        assert lost <= kills


@pytest.mark.parametrize("sql", ["postgresql", "mysql", "sqlite"])
def test_an_outbox_loses_nothing(sql: str, lab: Callable[..., Lab], redis: Private, tmp_path: Path) -> None:
    """SIGKILLs of workers, children and schedulers, and the broker killed, paused and emptied: each effect once."""
    with private_database(sql) if sql != "sqlite" else nullcontext() as database:
        url = database.url if database else f"sqlite:///{tmp_path}/jobs.sqlite"
        found = lab("celery_redis", sql, BROKER_URL=redis.url, DATABASE_URL=url)
        jobs, kills, chance = 1000, 20, random.Random(SEED)
        found.send(0, jobs, 0.01)
        scheduler = found.start("scheduler")
        for number in range(kills):
            worker = found.start("worker")
            time.sleep(chance.uniform(0.2, 0.8))
            if number % 4 == 1:
                os.kill(chance.choice(children(worker.pid)), signal.SIGKILL)
                time.sleep(0.5)
            elif number % 4 == 2:
                found.kill(scheduler)
                scheduler = found.start("scheduler")
            elif number % 8 == 3:
                redis.stop()
                for file in Path(redis.command[redis.command.index("--dir") + 1]).glob("appendonlydir"):
                    shutil.rmtree(file)
                redis.start()
                print(f"Redis lost all its data at {len(found.count('end'))}")
            elif number % 8 == 7:
                redis.pause()
                time.sleep(2)
                redis.resume()
            found.kill(worker)
        found.start("worker")
        begun = time.monotonic()

        def effects() -> tuple[int, int, int]:
            all_of_them, different, waiting = map(int, found.run("effects").splitlines()[-1].split())
            return all_of_them, different, waiting

        with suppress(AssertionError):
            until(lambda: time.sleep(2) or effects()[2] == 0, 240)
        all_of_them, different, waiting = effects()
        twice = sum(number > 1 for number in found.count("end").values())
        print(
            f"{sql}: {jobs} jobs, {kills} kills: {different} have their effect, {all_of_them - different} twice, {waiting} wait "
            f"(after {time.monotonic() - begun:.0f} s); {twice} were run more than once; {len(found.failures())} kept"
        )
        assert (all_of_them, different, waiting) == (jobs, jobs, 0)


@pytest.mark.short
def test_a_job_is_sent_for_later_before_any_worker_has_run(either: Lab) -> None:
    either.run("later", "1", "2")
    either.start("worker")
    until(lambda: either.count("end"), 30)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_an_outage_of_five_minutes(broker: str, lab: Callable[..., Lab]) -> None:
    """The worker lives through it, takes no jobs meanwhile, and comes back by itself."""
    with private(broker) as server:
        found = lab(f"celery_{broker}", BROKER_URL=server.url)
        worker = found.start("worker")
        found.send(0, 5)
        until(lambda: len(found.count("end")) == 5, 30)
        health = found.folder / "health0"
        server.stop()
        ready = health.with_name("health0.ready")
        until(lambda: not ready.exists(), 30)
        away = time.monotonic()
        while time.monotonic() < away + OUTAGE:
            time.sleep(10)
            # Then the probes of Compose and Kubernetes would have it started again.
            assert time.time() - health.stat().st_mtime < 6 * 60
            assert worker.poll() is None
        server.start()
        back = until(ready.exists, 60)
        found.send(5, 10)
        until(lambda: len(found.count("end")) == 10, 30)
        print(f"{broker}: after {OUTAGE} s without a broker, the worker took jobs again {back:.1f} s later")


@pytest.mark.short
def test_one_of_several_schedulers_sends(either: Lab) -> None:
    """Three of them, which are killed in turns: each time is sent once. What was missed is made up, once."""
    either.settings |= {"EVERY": "2"}
    either.start("worker")
    schedulers = [either.start("scheduler") for _ in range(3)]
    # While all these start, on a busy machine, the first ones run late: they are not counted.
    until(lambda: len(either.count("tick")) > 1, 30)
    started = max(either.count("tick"))
    for _ in range(3):
        time.sleep(4)
        either.kill(schedulers.pop(0))
        schedulers.append(either.start("scheduler"))
    for scheduler in schedulers:
        either.kill(scheduler)
    time.sleep(1)
    before = either.count("tick")
    time.sleep(6)
    assert either.count("tick") == before
    either.start("scheduler")
    until(lambda: sum(either.count("tick").values()) > sum(before.values()), 10)
    ticks = either.count("tick")
    print(f"{len(ticks)} times in {max(ticks) - min(ticks) + 1}, {sum(ticks.values()) - len(ticks)} twice")
    # A job that waited for the worker may run in the time of the next.
    sent = sum(times for tick, times in before.items() if tick > started)
    assert sent in (max(before) - started - 1, max(before) - started)


@pytest.mark.parametrize("fault", [refusing, black_hole, silent])
@pytest.mark.parametrize("jobs", ["celery_redis", "celery_rabbitmq"])
def test_a_broker_that_is_away_is_503_in_time(jobs: str, fault: Callable[..., Any], lab: Callable[..., Lab]) -> None:
    """Within three times BROKER_TIMEOUT, and other routes go on."""
    with fault() as port:
        scheme = {"celery_redis": "redis", "celery_rabbitmq": "amqp"}[jobs]
        found = lab(jobs, BROKER_URL=f"{scheme}://127.0.0.1:{port}", BROKER_TIMEOUT="0.5")
        with serving(found) as ask:
            slowest = 0.0
            for _ in range(3):
                status, seconds, headers = ask("POST", "/notes/1")
                assert (status, headers.get("Retry-After")) == (503, "5")
                slowest = max(slowest, seconds)
                assert ask("GET", "/")[0] == 200
            print(f"{jobs}, {fault.__name__}: 503 after {slowest:.2f} s at most")
            assert slowest < 3 * 0.5 + SLACK_SECONDS


@pytest.mark.short
def test_a_broker_that_is_paused(lab: Callable[..., Lab], redis: Private) -> None:
    found = lab("celery_redis", BROKER_URL=redis.url, BROKER_TIMEOUT="0.5")
    with serving(found) as ask:
        assert ask("POST", "/notes/1")[0] == 202
        redis.pause()
        slowest = 0.0
        for _ in range(3):
            status, seconds, _ = ask("POST", "/notes/2")
            assert status == 503
            slowest = max(slowest, seconds)
            assert ask("GET", "/")[0] == 200
        redis.resume()
        until(lambda: ask("POST", "/notes/3")[0] == 202, 10)
        print(f"paused: 503 after {slowest:.2f} s at most")
        assert slowest < 3 * 0.5 + SLACK_SECONDS


@pytest.mark.short
def test_a_wrong_password_is_one_clear_line(lab: Callable[..., Lab], redis: Private) -> None:
    redis.stop()
    redis.command += ["--requirepass", "right"]
    redis.ready = listening
    redis.start()
    found = lab("celery_redis", BROKER_URL=f"redis://:wrong@127.0.0.1:{redis.port}/0")
    with serving(found) as ask:
        assert ask("POST", "/notes/1")[0] == 503
    (line,) = [line for line in map(json.loads, found.log.read_text().splitlines()) if line["level"] == "warning"]
    assert line["event"] == "broker_unavailable"
    assert re.search("password|auth", line["reason"], re.IGNORECASE)
    assert "wrong@" not in found.log.read_text()


@contextmanager
def serving(found: Lab) -> Iterator[Callable[..., tuple[int, float, dict[str, str]]]]:
    """Start the web process, and ask it: the status, the seconds and the headers of an answer."""
    from http.client import HTTPConnection

    port = free_port()
    web = found.start("serve", PORT=str(port), HOST="127.0.0.1", WEB_CONCURRENCY="1")

    def ask(method: str, path: str) -> tuple[int, float, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        begun = time.monotonic()
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            answer.read()
            headers = {name.title(): value for name, value in answer.getheaders()}
            return answer.status, time.monotonic() - begun, headers
        finally:
            connection.close()

    def lives() -> bool:
        assert web.poll() is None, found.log.read_text()
        with suppress(OSError):
            return ask("GET", "/livez")[0] == 200
        return False

    until(lives, 30)
    try:
        yield ask
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(40)
