from collections.abc import Callable
from urllib.request import urlopen

from flask import Flask, url_for
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client


def test_two_apps_side_by_side(make_app: Callable[..., Flask]) -> None:
    small, large = make_app(MAX_CONTENT_LENGTH=10), make_app(MAX_CONTENT_LENGTH=20)
    assert small.config["MAX_CONTENT_LENGTH"] == 10
    assert large.config["MAX_CONTENT_LENGTH"] == 20
    assert small.secret_key != large.secret_key
    assert small.test_client().get("/").status_code == large.test_client().get("/").status_code == 200


def test_mounted_under_a_prefix(app: Flask) -> None:
    app.add_url_rule("/where", view_func=lambda: url_for("main.index"))
    client = Client(DispatcherMiddleware(NotFound(), {"/prefix": app}))
    assert client.get("/prefix/where").text == "/prefix/"
    assert client.get("/where").status_code == 404


def test_settings_of_flask_pass(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSION_COOKIE_SAMESITE="Strict", TESTING=False, ANYTHING=[1, 2])
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Strict"
    assert not app.testing
    assert app.config["ANYTHING"] == [1, 2]


def test_served_to_what_speaks_http(live_server: str) -> None:
    with urlopen(f"{live_server}/livez", timeout=10) as response:  # noqa: S310
        assert response.status == 200
