"""Limits of people who are signed in."""

from importlib import import_module
from types import ModuleType
from typing import Any

from flask import Flask


def test_each_person_has_a_limit_of_their_own(
    app: Flask, package: ModuleType, user: Any, staff: Any, sign_in: Any
) -> None:
    extension = import_module(".extensions.rate_limit", package.__name__)
    app.add_url_rule("/trial", "trial", extension.rate_limit("1/day")(lambda: "answered"))
    stranger, ada, grace, again = (app.test_client() for _ in range(4))
    sign_in(user, ada), sign_in(staff, grace), sign_in(user, again)
    found = [client.get("/trial").status_code for client in (ada, grace, stranger, ada, again, stranger)]
    assert found == [200, 200, 200, 429, 429, 429]
