"""Errors: pages for people, problem documents for programs."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, render_template
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from jinja2 import UndefinedError
from werkzeug.exceptions import ServiceUnavailable

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (CHROMIUM, "text/html"),
        ("text/html", "text/html"),
        ("text/html;q=0.5, application/json", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("application/*", "application/problem+json"),
        ("image/png", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("", "application/problem+json"),
    ],
)
def test_errors_are_answered_as_the_client_would_have_them(client: FlaskClient, accept: str, kind: str) -> None:
    response = client.get("/nowhere", headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (404, kind)
    assert response.headers["Vary"].split(", ").count("Accept") == 1
    assert response.headers["X-Request-ID"] in response.text


def test_an_error_keeps_its_headers(app: Flask, browser: Any) -> None:
    @app.get("/away")
    def away() -> ResponseReturnValue:
        raise ServiceUnavailable("The stock is away.", retry_after=5)

    assert browser.open("/data").allow == {"OPTIONS", "POST"}
    response = browser.open("/away")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "The stock is away." in browser.page.main.text


def test_a_bug_tells_no_internals(browser: Any) -> None:
    response = browser.open("/bug")
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "internals" not in response.text


def test_what_an_error_says_is_escaped(app: Flask, browser: Any) -> None:
    @app.get("/odd")
    def odd() -> ResponseReturnValue:
        abort(418, "<script>alert(1)</script>")

    assert "&lt;script&gt;alert(1)" in browser.open("/odd").text


def test_an_undefined_variable_is_an_error(app: Flask, make_pages: Callable[..., Flask]) -> None:
    with app.app_context(), pytest.raises(UndefinedError):
        render_template("gap.html")
    # In production, a page with a gap is better than none.
    live = make_pages(APP_ENV="production")
    with live.app_context():
        assert render_template("gap.html") == "[]"
