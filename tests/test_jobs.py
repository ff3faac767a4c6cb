"""Jobs through the front door: a server, a worker and a scheduler on a real broker, and what they tell Prometheus."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from conftest import Service
from loading import children
from manifest import MANIFEST
from prometheus import prometheus
from receivers import listening_in
from redis import Redis
from running import add, clean_environment, free_port, required_settings, run, serving, until
from servers import Private, listening, private
from servers.rabbitmq import left, vhost
from test_metrics import SECONDS, configure, dashboards, expressions, has_values, hasten

JOBS = """
import os
import re
import signal
import time

from ..extensions.celery import job


@job("trial.ok")
def ok() -> None: ...


@job("trial.wrong", starts=2)
def wrong() -> None:
    raise ValueError("negative")


@job("trial.dies", starts=2)
def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@job("trial.late", starts=1)
def late() -> None:
    time.sleep(10)


@job("trial.stuck", starts=1)
def stuck() -> None:
    try:
        time.sleep(30)
    except Exception:
        time.sleep(30)


@bp.post("/jobs/<name>/<int:times>")
def send(name: str, times: int) -> ResponseReturnValue:
    from ..extensions.celery import declared, jobs

    for _ in range(times):
        declared[name].send()
    jobs().commit()
    return {}
"""


class Processes:
    """A worker and a scheduler of one service."""

    def __init__(self, service: Path, folder: Path, settings: dict[str, str]) -> None:
        self.service, self.folder, self.settings = service, folder, settings
        self.ports: dict[str, int] = {}

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        health = self.folder / name
        port = self.ports.setdefault(name, free_port())
        own = {"JOB_HEALTH_FILE": str(health), "METRICS_PORT": str(port), "HOST": "127.0.0.1"}
        package = next(self.service.glob("src/*/__main__.py")).parent.name
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", package, name],
                env=clean_environment(**self.settings | own),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started = self.folder / (f"{name}.ready" if name == "worker" else name)
        until(lambda: process.poll() is not None or (started.exists() and listening(port)), SECONDS)
        assert process.poll() is None, self.log(name)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def ask(self, name: str, path: str = "/metrics", token: str | None = None) -> tuple[int, str]:
        token = self.settings["METRICS_TOKEN"] if token is None else token
        request = Request(f"http://127.0.0.1:{self.ports[name]}{path}", headers={"Authorization": f"Bearer {token}"})
        try:
            with urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, ""

    def figures(self, name: str) -> dict[str, float]:
        status, text = self.ask(name)
        assert status == 200
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {figure: float(value) for figure, _, value in lines}


@pytest.fixture
def processes(bake: Callable[..., Service], tmp_path: Path) -> Iterator[Callable[..., Processes]]:
    """A service with a Redis of its own, and jobs that end in each way."""
    with ExitStack() as servers:

        def make(**answers: str) -> Processes:
            service = bake(jobs="celery_redis", metrics="yes", project_name="Counted", **answers).path
            add(service, JOBS)
            shared = tmp_path / "tmp"
            shared.mkdir()
            settings = required_settings(service) | {
                "BROKER_URL": servers.enter_context(private("redis")).url,
                "JOB_TIMEOUT": "2",
                "JOB_STOP_TIMEOUT": "2",
                "PYTHONPATH": str(service / "src"),
                "TMPDIR": str(shared),
            }
            return Processes(service, tmp_path, settings)

        yield make


@pytest.mark.slow
def test_a_worker_and_a_scheduler_tell_what_jobs_do(processes: Callable[..., Processes], tmp_path: Path) -> None:
    """Those that end, that raise, that kill their process and that take too long: nothing that was counted is lost."""
    found = processes()
    command = [sys.executable, "-m", "counted", "serve"]
    with serving(found.service, tmp_path / "log", command, **found.settings) as web, found.running("scheduler"):
        for name, times in {"ok": 20, "wrong": 1, "dies": 1, "late": 1, "stuck": 1}.items():
            assert web.get(f"/jobs/trial.{name}/{times}", "POST")[0] == 200
        queue = 'jobs_waiting{queue="counted"}'
        until(lambda: found.figures("scheduler")[queue] == 24, SECONDS)
        until(lambda: found.figures("scheduler")['jobs_oldest_seconds{queue="counted"}'] > 1, SECONDS)
        with found.running("worker") as worker:
            first = found.figures("worker")
            assert first['jobs_failed_total{name="trial.wrong"}'] == 0
            assert not [name for name in first if name.startswith("jobs_waiting")]
            expected = {
                "started": {"ok": 20, "wrong": 2, "dies": 2, "late": 1, "stuck": 1},
                "retried": {"wrong": 1, "dies": 1},
                "failed": {"wrong": 1, "dies": 1, "late": 1, "stuck": 1, "ok": 0},
            }

            def counted() -> bool:
                told = found.figures("worker")
                figures = {
                    kind: {name: told.get(f'jobs_{kind}_total{{name="trial.{name}"}}') for name in names}
                    for kind, names in expected.items()
                }
                return figures == expected

            until(counted, 60)
            told = found.figures("worker")
            assert told['job_duration_seconds_count{name="trial.ok"}'] == 20
            assert told['job_wait_seconds_count{name="trial.ok"}'] == 20
            assert told['job_wait_seconds_sum{name="trial.ok"}'] > 20
            assert 1.5 < told['job_duration_seconds_sum{name="trial.late"}'] < 9  # of 10
            # A worker whose processes are all replaced.
            for child in children(worker.pid):
                os.kill(child, signal.SIGKILL)
            assert web.get("/jobs/trial.ok/5", "POST")[0] == 200
            until(lambda: found.figures("worker")['jobs_started_total{name="trial.ok"}'] == 25, SECONDS)
            until(lambda: found.figures("scheduler")[queue] == 0, SECONDS)
            assert found.figures("scheduler")['jobs_kept{queue="counted"}'] == 4
            # What a retry waits is counted from when it was due, 2.5 seconds after the first start at least.
            waits, waited = 'job_wait_seconds_sum{name="trial.wrong"}', told['job_wait_seconds_sum{name="trial.wrong"}']
            sent = time.monotonic()
            assert web.get("/jobs/trial.wrong/1", "POST")[0] == 200
            until(lambda: found.figures("worker")['jobs_failed_total{name="trial.wrong"}'] == 2, SECONDS)
            assert found.figures("worker")[waits] - waited < time.monotonic() - sent - 2.5
            assert found.ask("worker", token="wrong")[0] == 401
            assert found.ask("worker", "/")[0] == 404
            assert [*(tmp_path / "tmp").iterdir()]
        assert worker.returncode == 0
    for name in found.ports:
        assert not [line for line in found.log(name).splitlines() if not line.startswith("{")]
    assert not [*(tmp_path / "tmp").iterdir()]


@pytest.mark.slow
def test_a_worker_outlives_a_full_broker(processes: Callable[..., Processes]) -> None:
    """And SIGHUP stops it as SIGTERM does."""
    found = processes()
    with Redis.from_url(found.settings["BROKER_URL"]) as redis, found.running("worker") as worker:
        redis.config_set("maxmemory", 1)
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal")
        until(lambda: "used memory" in found.log("worker"), SECONDS)
        redis.config_set("maxmemory", 0)
        until((found.folder / "worker.ready").exists, SECONDS)
        assert worker.poll() is None
        worker.send_signal(signal.SIGHUP)
        assert worker.wait(SECONDS) == 0
        assert not [line for line in found.log("worker").splitlines() if not line.startswith("{")]


@pytest.mark.slow
def test_what_children_report_at_their_end(processes: Callable[..., Processes], tmp_path: Path) -> None:
    """A span of a job is in the trace of its request, and its exception at Sentry, though the worker stops at once."""
    found = processes(tracing="yes", sentry="yes")
    with listening_in("tracing.Receiver") as receiver, listening_in("sentry.Reports") as reports:
        # So long that only the end of a process sends what it has.
        found.settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        found.settings["SENTRY_DSN"] = reports.dsn
        reports.delay = 0.5
        command = [sys.executable, "-m", "counted", "serve"]
        with (
            serving(found.service, tmp_path / "log", command, **found.settings) as web,
            found.running("worker") as worker,
        ):
            for name in ("ok", "late"):
                assert web.get(f"/jobs/trial.{name}/1", "POST")[0] == 200
            until(lambda: '"job_failed"' in found.log("worker"), SECONDS)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(SECONDS) == 0
        spans = {span["name"]: span for span in receiver.spans}
        requests = {span["id"]: span for span in receiver.spans if span["name"].startswith("POST")}
        for name in ("trial.ok", "trial.late"):
            assert spans[name]["trace"] == requests[spans[name]["parent"]]["trace"]
        assert spans["trial.late"]["attributes"]["error.type"] == "SoftTimeLimitExceeded"
        (event,) = reports.errors
        assert (event["transaction"], event["tags"]["job"]) == ("trial.late", "trial.late")


@pytest.mark.slow
def test_prometheus_reads_all_processes(processes: Callable[..., Processes], tmp_path: Path) -> None:
    """With an outbox: each panel has values, and alerts fire while no worker runs, and when a job has failed."""
    found = processes(sql="sqlite")
    found.settings["DATABASE_URL"] = f"sqlite:///{tmp_path / 'counted.sqlite'}"
    python = [sys.executable, "-m", "counted"]
    for command in ("first-migration", "db upgrade"):
        run(found.service, *python, *command.split(), **found.settings, APP_ENV="development")
    config = configure(found.service, tmp_path / "metrics")
    (tmp_path / "metrics/token").write_text(found.settings["METRICS_TOKEN"])
    with serving(found.service, tmp_path / "log", [*python, "serve"], **found.settings) as web, ExitStack() as others:
        others.enter_context(found.running("scheduler"))
        found.ports["worker"] = free_port()
        hasten(config, web, *(f"127.0.0.1:{port}" for port in found.ports.values()))
        monitor = others.enter_context(prometheus(config))
        assert web.get("/jobs/trial.ok/20", "POST")[0] == 200
        until(lambda: "JobsNotStarted" in monitor.firing(), SECONDS)
        worker = others.enter_context(found.running("worker"))
        for name in ("ok", "wrong", "dies", "late", "stuck"):
            assert web.get(f"/jobs/trial.{name}/2", "POST")[0] == 200
        failed = "sum by (name) (jobs_failed_total) > 0"
        expected = {(f"trial.{name}",): 2 for name in ("wrong", "dies", "late", "stuck")}
        until(lambda: monitor.query(failed) == expected, 120)
        until(lambda: monitor.query("sum(jobs_started_total{name='trial.ok'})") == {(): 22}, SECONDS)
        until(lambda: monitor.query("max(jobs_waiting)") == {(): 0}, SECONDS)
        until(lambda: monitor.query("max(jobs_kept)") == {(): 8}, SECONDS)
        for name, expression in expressions(dashboards(found.service)["celery"]).items():
            has_values(monitor, expression, name)
        until(lambda: {name for name in monitor.firing() if name.startswith("Job")} == {"JobsFail"}, SECONDS)
        worker.kill()
        until(lambda: "ServiceDown" in monitor.firing(), SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", MANIFEST["_answers"]["jobs"][1:])
def test_the_tests_of_a_service_run_on_a_real_broker(jobs: str, bake: Callable[..., Service]) -> None:
    """Two processes of pytest at once, as CI gives it to them, and nothing is left."""
    service = bake(jobs=jobs, metrics="yes", project_name="Brokers").path
    with private("redis") if jobs == "celery_redis" else vhost() as broker:
        url = broker.url if isinstance(broker, Private) else broker
        command = ["-m", "pytest", "-q", "-rs", "--no-cov", "-n", "2", "tests/extensions/celery"]
        variables = {"PYTHONPATH": "src:.", "TEST_BROKER_URL": url}
        told = run(service, sys.executable, *command, f"tests/extensions/test_{jobs}.py", **variables)
        print(told[-500:])
        assert re.search(r"[1-9]\d* passed", told)
        assert "skipped" not in told
        if isinstance(broker, Private):
            with Redis.from_url(url) as client:
                assert not client.keys()
        else:
            assert left(url) == ""
