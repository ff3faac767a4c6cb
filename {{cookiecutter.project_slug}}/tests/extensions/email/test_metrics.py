"""The figures of mails."""

from collections.abc import Callable
from types import ModuleType

import pytest
from flask import Flask


def figures(app: Flask) -> dict[str, float]:
    lines = [line for line in app.test_client().get("/metrics").text.splitlines() if line.startswith("mails_total")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_mails_are_counted(make_mailing: Callable[..., Flask], email: ModuleType, port: int) -> None:
    modules = ["extensions.metrics", "extensions.email", "extensions.email.metrics"]
    app = make_mailing(*modules)
    assert figures(app) == {"sent": 0, "failed": 0, "dropped": 0}
    app.test_client().post("/greetings")
    with app.app_context():
        email.send("ada@example.com", "Greetings", "trial/plain", name="Ada")
    app.extensions["email"].outgoing.drop(app.extensions["email"].outbox[0], "a test")
    assert figures(app) == {"sent": 2, "failed": 0, "dropped": 1}

    away = make_mailing(*modules, MAIL_HOST="127.0.0.1", MAIL_PORT=port)
    with away.app_context(), pytest.raises(email.MailError):
        email.send("ada@example.com", "Greetings", "trial/plain", name="Ada")
    away.test_client().post("/greetings")
    away.extensions["email"].outgoing.stop()
    assert figures(away) == {"sent": 0, "failed": 2, "dropped": 0}
