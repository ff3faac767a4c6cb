from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

URL = "/api/v1/notes"


@pytest.fixture
def app(cassandra: Any, make_app: Callable[..., Flask]) -> Flask:
    return make_app(NOTES_STORE="cassandra")


def test_a_list_is_one_statement(client: FlaskClient, count_cassandra: Any) -> None:
    client.post(URL, json={"title": "Shopping"})
    with count_cassandra(1):
        assert len(client.get(URL).get_json()["items"]) == 1


def test_writers_at_the_same_time(
    app: Flask, client: FlaskClient, package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them overwrites what another one has written, and each is told what it wrote itself."""
    # Whoever they are: tests have one connection to a database, and these are threads.
    monkeypatch.setattr(import_module(".extensions.api.contract", package.__name__), "authenticate", lambda *_: None)
    note = client.post(URL, json={"title": "first"})

    def write(title: str) -> Any:
        answer = app.test_client().patch(note.headers["Location"], json={"title": title}, headers={"If-Match": "*"})
        return answer.get_json()["title"], answer.get_json()["version"]

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(write, "abcd"))
    assert [title for title, _ in answers] == list("abcd")
    assert sorted(version for _, version in answers) == [2, 3, 4, 5]


def test_a_condition_that_took_too_long(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether it was applied."""
    from cassandra import WriteTimeout, WriteType

    def execute(*arguments: Any) -> None:
        raise WriteTimeout("too many at once", write_type=WriteType.CAS)

    monkeypatch.setattr(app.extensions["cassandra"], "execute", execute)
    answer = client.post(URL, json={"title": "Shopping"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
