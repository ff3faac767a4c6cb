"""The figures of mails that a worker sends."""

from collections.abc import Callable
from typing import Any

from flask import Flask


def test_a_mail_fails_once(make_mailing: Callable[..., Flask], port: int) -> None:
    """However often it was tried: when its job has failed for good."""
    modules = ["extensions.metrics", "extensions.celery", "extensions.email"]
    app = make_mailing(*modules, "extensions.email.celery", "extensions.email.metrics", MAIL_HOST="127.0.0.1")
    jobs: Any = app.extensions["jobs"]
    jobs.keep(jobs, "email.deliver", "one", {}, ([""], {}), ConnectionRefusedError())
    jobs.keep(jobs, "another.job", "two", {}, ([], {}), ValueError())
    assert 'mails_total{result="failed"} 1.0' in app.test_client().get("/metrics").text
