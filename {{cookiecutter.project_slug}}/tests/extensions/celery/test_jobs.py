"""Jobs: how they are declared, sent and run, on a bare application and on a broker in memory."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import ServiceUnavailable

Probe = Callable[..., Flask]


def test_a_job_runs_after_the_request_with_its_id(
    celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any
) -> None:
    app = probe("extensions.celery")

    @app.post("/notes")
    def send() -> dict[str, str]:
        return {"job": celery.declared["probe.note"].send(7, text="a")}

    response = app.test_client().post("/notes", headers={"X-Request-ID": "one"})
    assert response.status_code == 200, response.text
    jobs = jobs_of(app)
    (sent,) = jobs.sent
    assert (sent.name, sent.args, sent.kwargs) == ("probe.note", [7], {"text": "a"})
    assert response.json == {"job": sent.id}
    assert ran == []
    assert jobs.run() == [sent]
    assert ran == [(7, "a", "one")]
    assert jobs.sent == []


def test_a_job_waits_until_it_is_due(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    app = probe("extensions.celery")
    with app.app_context():
        celery.declared["probe.note"].send_after(60, 1)
    jobs = jobs_of(app)
    assert 50 < (jobs.sent[0].due - datetime.now(UTC)).total_seconds() <= 60
    assert jobs.run() == []
    assert len(jobs.run(after=60)) == 1
    assert ran[0][0] == 1


def test_an_exception_of_a_job_is_raised_in_the_test(
    celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any
) -> None:
    app = probe("extensions.celery")
    with app.app_context():
        celery.declared["probe.note"].send(-1)
    with pytest.raises(ValueError, match="negative"):
        jobs_of(app).run()


def test_two_applications_never_meet(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    one, other = (probe("extensions.celery", BROKER_URL="memory://") for _ in range(2))
    with one.app_context():
        celery.declared["probe.note"].send(1)
    assert jobs_of(other).sent == []
    assert len(jobs_of(one).run()) == 1


@pytest.mark.parametrize("wrong", [object(), {1, 2}, float("nan"), b"bytes", datetime(2026, 1, 1, tzinfo=UTC)])
def test_arguments_are_json(wrong: object, celery: ModuleType, ran: list[Any], probe: Probe) -> None:
    with probe("extensions.celery").app_context(), pytest.raises(TypeError, match=r"probe\.note must be JSON"):
        celery.declared["probe.note"].send(wrong)


def test_arguments_are_those_of_the_function(celery: ModuleType, ran: list[Any], probe: Probe) -> None:
    with probe("extensions.celery").app_context(), pytest.raises(TypeError, match="unexpected keyword"):
        celery.declared["probe.note"].send(number=1, wrong=2)


def test_arguments_have_a_limit(celery: ModuleType, ran: list[Any], probe: Probe) -> None:
    with probe("extensions.celery").app_context(), pytest.raises(ValueError, match="bytes: at most"):
        celery.declared["probe.note"].send(1, text="x" * celery.LARGEST)


@pytest.mark.parametrize("depth", [101, 100_000])
def test_arguments_have_a_depth(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any, depth: int) -> None:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    with (app := probe("extensions.celery")).app_context():
        with pytest.raises(celery.TooLargeError, match="deeper than 100 levels"):
            celery.declared["probe.note"].send(1, text=deep)
        celery.declared["probe.note"].send(1, text=json.loads("[" * 100 + "]" * 100))
    assert len(jobs_of(app).run()) == 1


def test_arguments_arrive_as_they_were(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    """Also those that Celery's own JSON would make an object of, or fail to."""
    app = probe("extensions.celery")
    jobs, runner = app.extensions["jobs"], app.test_cli_runner()
    for given in ({"__type__": "date", "__value__": "2026-01-01"}, {"__type__": "unknown", "__value__": 1}):
        with app.app_context():
            celery.declared["probe.note"].send(1, text=given)
        jobs_of(app).run()
        assert ran.pop()[1] == given
        jobs.keep(jobs, "probe.note", "one", {}, ([1], {"text": given}), ValueError())
        assert json.loads(runner.invoke(args=["jobs", "show", "one"]).output)["kwargs"] == {"text": given}
        assert runner.invoke(args=["jobs", "retry", "one"]).exit_code == 0
        jobs_of(app).run()
        assert ran.pop()[1] == given


@pytest.mark.parametrize("name", ["note", "Probe.note", "probe.", "probe note"])
def test_a_name_is_checked(name: str, celery: ModuleType) -> None:
    with pytest.raises(ValueError, match="name of a job"):
        celery.job(name)(len)


def test_a_name_is_taken_once(celery: ModuleType, ran: list[Any]) -> None:
    with pytest.raises(ValueError, match="Two jobs"):
        celery.job("probe.note")(print)


def test_a_job_is_still_a_function(celery: ModuleType, ran: list[Any]) -> None:
    celery.declared["probe.note"](3)
    assert ran == [(3, "", None)]


def test_pauses_double_and_end(celery: ModuleType) -> None:
    assert all(2.5 <= celery.pause(1) <= 5 for _ in range(20))
    assert all(5 <= celery.pause(2) <= 10 for _ in range(20))
    assert all(celery.pause(99) <= celery.LONGEST_PAUSE for _ in range(20))


def test_production_needs_a_broker(make_app: Callable[..., Flask], production: dict[str, str]) -> None:
    with pytest.raises(Exception, match="BROKER_URL"):
        make_app(**production | {"BROKER_URL": ""})


@pytest.mark.parametrize(("before", "after"), [(r"^\w+", "http"), (r":\d+", ":99999"), (r":\d+", ":0"), ("word", "[")])
def test_a_wrong_address_is_refused(celery: ModuleType, probe: Probe, before: str, after: str) -> None:
    with pytest.raises(Exception, match="BROKER_URL"):
        probe("extensions.celery", BROKER_URL=re.sub(before, after, celery.chosen_broker().BROKER))


def test_a_broker_that_is_away_is_503(celery: ModuleType, ran: list[Any], probe: Probe, port: int) -> None:
    address = re.sub(r"host:\d+", f"127.0.0.1:{port}", celery.chosen_broker().BROKER)
    app = probe("extensions.celery", BROKER_URL=address, BROKER_TIMEOUT=0.3)

    @app.post("/notes")
    def send() -> dict[str, str]:
        return {"job": celery.declared["probe.note"].send(1)}

    begun = time.monotonic()
    response = app.test_client().post("/notes")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert time.monotonic() - begun < 30  # It does not wait for the broker, which never comes.
    assert app.test_client().get("/").status_code == 200
    with app.app_context(), pytest.raises(ServiceUnavailable):
        celery.declared["probe.note"].send(1)
    for command in (["list"], ["show", "one"], ["retry", "one"], ["send", "probe.note", '{"number": 1}']):
        done = app.test_cli_runner().invoke(args=["jobs", *command])
        assert (done.exit_code, done.output.startswith("Error: "), done.output.count("\n")) == (1, True, 1)


def test_a_job_with_wrong_arguments_is_started_as_often_as_another(
    celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any
) -> None:
    """An earlier release has sent it."""
    from celery.exceptions import Retry

    app = probe("extensions.celery")
    task = app.extensions["jobs"].celery.tasks["probe.note"]
    task.push_request(id="one", args=[1, "text", "more"], kwargs={}, called_directly=False, is_eager=False)
    with pytest.raises(Retry):
        task(1, "text", "more")
    (sent,) = jobs_of(app).sent
    assert (sent.args, sent.headers["retries"]) == ([1, "text", "more"], 1)
    assert sent.due > datetime.now(UTC)


def test_development_runs_jobs_in_a_thread(celery: ModuleType, ran: list[Any], probe: Probe) -> None:
    app = probe("extensions.celery", APP_ENV="development", TESTING=False, BROKER_URL="memory://")
    with app.app_context():
        celery.declared["probe.note"].send(5, text="thread")
        celery.declared["probe.note"].send_after(1, 6)
    deadline = time.monotonic() + 10
    while len(ran) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [(number, text) for number, text, _ in ran] == [(5, "thread"), (6, "")]
    app.extensions["jobs"].stop()


def test_what_failed_is_kept_and_sent_again(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    app = probe("extensions.celery")
    jobs, runner = app.extensions["jobs"], app.test_cli_runner()
    jobs.keep(jobs, "probe.note", "one", {"request_id": "asked"}, ([4], {}), ValueError("negative"))
    jobs.keep(jobs, "probe.note", "two", {}, ([5], {}), ValueError("another"))
    listed = runner.invoke(args=["jobs", "list"])
    assert [line.split()[0] for line in listed.output.splitlines()] == ["one", "two"]
    shown = json.loads(runner.invoke(args=["jobs", "show", "one"]).output)
    assert shown | {"failed": ""} == {
        "id": "one",
        "job": "probe.note",
        "args": [4],
        "kwargs": {},
        "error": "ValueError: negative",
        "failed": "",
        "request_id": "asked",
    }
    assert runner.invoke(args=["jobs", "retry", "one"]).exit_code == 0
    assert [line.split()[0] for line in runner.invoke(args=["jobs", "list"]).output.splitlines()] == ["two"]
    assert [job.args for job in jobs_of(app).run()] == [[4]]
    assert runner.invoke(args=["jobs", "show", "one"]).exit_code == 1


def test_a_job_is_sent_by_a_command(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    app = probe("extensions.celery")
    runner = app.test_cli_runner()
    assert runner.invoke(args=["jobs", "send", "probe.note", '{"number": 8}']).exit_code == 0
    jobs_of(app).run()
    assert ran[0][0] == 8
    assert "There is no job probe.other" in runner.invoke(args=["jobs", "send", "probe.other"]).output
    assert "missing a required argument" in runner.invoke(args=["jobs", "send", "probe.note"]).output


def test_a_worker_needs_a_broker(probe: Probe) -> None:
    runner = probe("extensions.celery", BROKER_URL="memory://").test_cli_runner()
    assert "no other process" in runner.invoke(args=["worker"]).output
