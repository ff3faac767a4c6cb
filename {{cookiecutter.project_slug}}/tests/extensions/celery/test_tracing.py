"""A job belongs to the trace of the request that sent it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

Probe = Callable[..., Flask]
MODULES = ["extensions.tracing", "extensions.celery", "extensions.celery.tracing"]


def spans(app: Flask, receiver: Any) -> dict[str, Any]:
    app.extensions["tracing"].provider.force_flush()
    return {span["name"]: span for span in receiver.spans}


def test_web_and_worker_are_one_trace(
    celery: ModuleType, ran: list[Any], probe: Probe, receiver: Any, jobs_of: Any
) -> None:
    app = probe(*MODULES, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    @app.post("/notes/<int(signed=True):number>")
    def send(number: int) -> dict[str, str]:
        return {"job": celery.declared["probe.note"].send(number)}

    app.test_client().post("/notes/1")
    jobs_of(app).run()
    found = spans(app, receiver)
    web, job = found["POST /notes/<int(signed=True):number>"], found["probe.note"]
    assert (job["trace"], job["parent"]) == (web["trace"], web["id"])
    assert job["status"][0] == 0
    assert job["attributes"]["messaging.job.name"] == "probe.note"


def test_a_failure_is_marked(celery: ModuleType, ran: list[Any], probe: Probe, receiver: Any, jobs_of: Any) -> None:
    app = probe(*MODULES, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    with app.app_context():
        celery.declared["probe.note"].send(-1)
    with pytest.raises(ValueError, match="negative"):
        jobs_of(app).run()
    job = spans(app, receiver)["probe.note"]
    assert job["attributes"]["error.type"] == "ValueError"
    assert job["events"] == 0
    assert "negative" not in str(job)


def test_without_an_endpoint_nothing_is_carried(celery: ModuleType, ran: list[Any], probe: Probe, jobs_of: Any) -> None:
    app = probe(*MODULES)
    with app.app_context():
        celery.declared["probe.note"].send(1)
    assert "traceparent" not in jobs_of(app).sent[0].headers
