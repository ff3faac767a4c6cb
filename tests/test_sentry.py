"""What Sentry is told, by its own protocol: each unexpected error once, with its trace, and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from manifest import MANIFEST
from matrix import some
from receivers import listening_in
from running import prepare, required_settings, serving

ROUTES = """
from flask import abort, request


@bp.post("/bug")
def bug() -> ResponseReturnValue:
    form = request.form
    raise RuntimeError(f"no {len(form)}")


@bp.get("/answered/<int:code>")
def answered(code: int) -> ResponseReturnValue:
    abort(code)


@bp.teardown_app_request
def ended(error: BaseException | None) -> None:
    if request.path == "/ended":
        raise ValueError("at the end")
"""


@pytest.fixture
def reports() -> Iterator[Any]:
    with listening_in("sentry.Reports") as reports:
        yield reports


@pytest.mark.slow
@pytest.mark.parametrize("server", some(MANIFEST["_answers"]["server"], "granian"))
def test_errors_are_reported_once(server: str, reports: Any, bake: Any, tmp_path: Path) -> None:
    service: Path = bake(sql="sqlite", sentry="yes", tracing="yes", server=server, project_name="Errors").path
    prepare(service, ROUTES)
    reports.delay = 0.1
    settings = required_settings(service) | {
        "SENTRY_DSN": reports.dsn,
        # Nobody listens there, which must be of no consequence.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "PLANTED": "planted-environ",
    }
    headers = {"Authorization": "Bearer planted-header", "Cookie": "session=planted-cookie", "X-Planted": "planted-x"}
    traces = [os.urandom(16).hex() for _ in range(8)]
    with serving(service, tmp_path / "log", [".venv/bin/python", "-m", "errors", "serve"], **settings) as started:
        for trace in traces:
            path = "/bug?password=planted-query"
            assert started.get(path, "POST", traceparent=f"00-{trace}-b7ad6b7169203331-01", **headers)[0] == 500
        for code in 400, 404, 503:
            assert started.get(f"/answered/{code}", **headers)[0] == code
        assert started.get("/ended", **headers)[0] == 500
    assert started.process.returncode == 0
    assert {kind for kind, _ in reports.items} == {"event"}
    errors = {error["exception"]["values"][0]["value"]: error for error in reports.errors}
    assert errors.keys() == {"no 0", "at the end"}
    assert sorted(error["tags"]["trace_id"] for error in reports.errors if error is not errors["at the end"]) == sorted(
        traces
    )
    assert errors["no 0"]["request"]["url"] == f"{started.url}/bug"
    assert errors["no 0"]["release"] == "errors@0.1.0"
    logged = {str(line["request_id"]) for line in started.log_lines() if line.get("status") == 500}
    assert {error["tags"]["request_id"] for error in reports.errors} == logged
    sent = str(reports.envelopes)
    assert "planted" not in sent.lower()
    assert not [name for name, value in settings.items() if len(value) > 40 and value in sent]
