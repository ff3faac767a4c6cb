"""Mails that belong to the transaction of a view."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

MODULES = ["sqlalchemy", "celery", "celery.sqlalchemy", "email", "email.celery", "email.celery.sqlalchemy"]


@pytest.mark.parametrize(("end", "count"), [("commit", 1), ("rollback", 0), ("close", 0)])
def test_a_mail_is_sent_by_the_commit(
    end: str,
    count: int,
    make_mailing: Callable[..., Flask],
    db: object,
    email: ModuleType,
    jobs_of: Any,
    package: ModuleType,
) -> None:
    app = make_mailing(*(f"extensions.{name}" for name in MODULES))
    database = import_module(".extensions.sqlalchemy", package.__name__).db

    @app.post("/orders")
    def order() -> dict[str, str]:
        email.send("ada@example.com", "Your order", "trial/plain", name="Ada")
        getattr(database.session, end)()
        return {}

    assert app.test_client().post("/orders").status_code == 200
    assert len(jobs_of(app).run()) == count
    assert len(app.extensions["email"].outbox) == count
