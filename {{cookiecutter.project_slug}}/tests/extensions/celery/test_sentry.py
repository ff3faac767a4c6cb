"""An exception of a job is reported, with the request that sent it and without what it was given."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

MODULES = ["extensions.sentry", "extensions.celery", "extensions.celery.sentry"]


def test_a_failure_is_reported(
    celery: ModuleType, ran: list[Any], probe: Callable[..., Flask], reports: Any, jobs_of: Any
) -> None:
    app = probe(*MODULES, SENTRY_DSN=reports.dsn)

    @app.post("/notes")
    def send() -> dict[str, str]:
        return {"job": celery.declared["probe.note"].send(-1, text="planted")}

    app.test_client().post("/notes", headers={"X-Request-ID": "asked"})
    with pytest.raises(ValueError, match="negative"):
        jobs_of(app).run()
    app.extensions["sentry"].flush(timeout=10)
    (error,) = reports.errors
    assert error["exception"]["values"][0]["type"] == "ValueError"
    assert error["transaction"] == "probe.note"
    assert (error["tags"]["request_id"], error["tags"]["job"]) == ("asked", "probe.note")
    assert "planted" not in "".join(reports.envelopes)
