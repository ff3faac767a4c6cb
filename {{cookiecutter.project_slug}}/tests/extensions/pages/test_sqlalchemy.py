from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError


@pytest.fixture
def app(probe: Callable[..., Flask]) -> Flask:
    app = probe("extensions.sqlalchemy", "extensions.pages")

    @app.get("/away")
    def away() -> ResponseReturnValue:
        raise OperationalError("SELECT 1", {}, Exception("gone"), connection_invalidated=True)

    return app


def test_a_database_that_is_away_is_a_page(browser: Any) -> None:
    response = browser.open("/away")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert browser.page.main.p.text == "The database is unavailable."
