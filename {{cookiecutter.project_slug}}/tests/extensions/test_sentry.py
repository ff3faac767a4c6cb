import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, request, request_started

#: As ``fixtures/sentry.py`` makes it.
Reports = Any


@pytest.fixture
def reporting(probe: Callable[..., Flask], reports: Reports) -> Flask:
    return probe("extensions.sentry", SENTRY_DSN=reports.dsn, PROPAGATE_EXCEPTIONS=False)


def flush(app: Flask) -> None:
    app.extensions["sentry"].flush(timeout=10)


def test_without_a_dsn_nothing_is_reported(probe: Callable[..., Flask]) -> None:
    bare = len(request_started.receivers)
    assert "sentry" not in probe("extensions.sentry").extensions
    assert len(request_started.receivers) == bare


def test_an_error_is_reported_once_and_tells_nothing_personal(
    reporting: Flask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "planted-environ")

    def bug() -> str:
        password = request.json["password"]
        raise RuntimeError(f"amqp://user:planted-url@host/name?token={password}")

    reporting.add_url_rule("/users/<int:number>", view_func=lambda number: bug(), methods=["POST"])
    client = reporting.test_client()
    client.set_cookie("session", "planted-cookie")
    headers = {"Authorization": "Bearer planted-header", "X-Custom": "planted-custom", "X-Request-ID": "a-1"}
    body = {"password": "planted-body", "name": "planted-name"}
    answer = client.post("/users/7?token=planted-query", json=body, headers=headers)
    assert answer.status_code == 500
    answer.close()
    flush(reporting)
    (error,) = reports.errors
    assert [kind for kind, _ in reports.items] == ["event"]
    assert error["exception"]["values"][0]["type"] == "RuntimeError"
    assert error["request"]["url"] == "http://localhost/users/7"
    assert error["transaction"] == "/users/<int:number>"
    assert error["environment"] == "testing"
    assert error["tags"]["request_id"] == "a-1"
    assert "user" not in error
    assert "amqp://user:[redacted]@host/name" in error["exception"]["values"][0]["value"]
    secrets = ["planted-environ", "planted-cookie", "planted-header", "planted-custom", "planted-query", "planted-body"]
    secrets += ["planted-name", "planted-url", reporting.config["SECRET_KEY"]]
    # Frames show the lines of this file, in which some of these stand.
    for value in error["exception"]["values"]:
        for frame in value["stacktrace"]["frames"]:
            assert "vars" not in frame
    told = json.dumps({name: item for name, item in error.items() if name != "exception"})
    told += str([value["value"] for value in error["exception"]["values"]])
    assert not [secret for secret in secrets if secret in told]


def test_what_is_answered_is_no_error(reporting: Flask, reports: Reports) -> None:
    reporting.add_url_rule("/abort/<int:code>", view_func=abort)
    for path in "/nowhere", "/abort/400", "/abort/404", "/abort/503":
        reporting.test_client().get(path).close()
    flush(reporting)
    assert reports.items == []


def test_an_error_that_leaves_flask(reporting: Flask, reports: Reports) -> None:
    @reporting.teardown_request
    def fail(error: BaseException | None) -> None:
        raise ValueError("at the end")

    with pytest.raises(ValueError, match="at the end"):
        reporting.test_client().get("/", headers={"X-Request-ID": "a-1"})
    flush(reporting)
    (error,) = reports.errors
    assert error["exception"]["values"][0]["value"] == "at the end"
    assert error["tags"]["request_id"] == "a-1"


def test_an_application_without_a_dsn_reports_nothing(
    reporting: Flask, reports: Reports, probe: Callable[..., Flask]
) -> None:
    other = probe("extensions.sentry", PROPAGATE_EXCEPTIONS=False)
    for app in other, reporting:
        app.add_url_rule("/bug", view_func=lambda: str(1 / 0))
        app.test_client().get("/bug").close()
    flush(reporting)
    assert len(reports.errors) == 1


def test_durations_are_told_on_demand(probe: Callable[..., Flask], reports: Reports) -> None:
    app = probe("extensions.sentry", SENTRY_DSN=reports.dsn, SENTRY_TRACES_SAMPLE_RATE=1, SENTRY_ENVIRONMENT="staging")
    headers = {"Authorization": "Bearer planted", "Cookie": "a=planted", "X-Custom": "planted"}
    app.test_client().get("/?token=planted", headers=headers).close()
    flush(app)
    ((kind, transaction),) = reports.items
    assert (kind, transaction["transaction"], transaction["environment"]) == ("transaction", "/", "staging")
    assert "planted" not in str(reports.envelopes)


def test_the_durations_of_probes_are_not_told(probe: Callable[..., Flask], reports: Reports) -> None:
    app = probe("extensions.sentry", SENTRY_DSN=reports.dsn, SENTRY_TRACES_SAMPLE_RATE=1)
    for path in *app.extensions["probes"], "/":
        app.test_client().get(path).close()
    flush(app)
    assert [item["transaction"] for kind, item in reports.items if kind == "transaction"] == ["/"]


@pytest.mark.parametrize(("sampled", "count"), [("", 1), ("-0", 0), ("-1", 1)])
def test_the_caller_decides_what_is_sampled(
    probe: Callable[..., Flask], reports: Reports, sampled: str, count: int
) -> None:
    app = probe("extensions.sentry", SENTRY_DSN=reports.dsn, SENTRY_TRACES_SAMPLE_RATE=1)
    app.test_client().get("/", headers={"sentry-trace": f"{'a' * 32}-{'b' * 16}{sampled}"}).close()
    flush(app)
    assert len([kind for kind, _ in reports.items if kind == "transaction"]) == count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENTRY_DSN", "sentry.example.com"),
        ("SENTRY_DSN", "https://sentry.example.com/1"),
        ("SENTRY_DSN", "https://key@sentry.example.com:port/1"),
        ("SENTRY_DSN", "https://key@sentry.example.com:99999/1"),
        ("SENTRY_DSN", "https://key@[::1/1"),
        ("SENTRY_TRACES_SAMPLE_RATE", "2"),
    ],
)
def test_wrong_settings_are_named(probe: Callable[..., Flask], name: str, value: str) -> None:
    with pytest.raises(Exception, match=f"{name}: "):
        probe("extensions.sentry", **{name: value})
