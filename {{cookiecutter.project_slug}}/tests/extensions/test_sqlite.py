from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask


@pytest.fixture
def db(package: ModuleType) -> Any:
    return import_module(".extensions.sqlalchemy", package.__name__).db


@pytest.fixture
def app(probe: Callable[..., Flask], tmp_path: Path) -> Flask:
    url = f"sqlite:///{tmp_path / 'own.sqlite'}"
    return probe("extensions.sqlalchemy", DATABASE_URL=url, DATABASE_STATEMENT_TIMEOUT=0.2)


def test_pragmas(app: Flask, db: Any) -> None:
    with app.app_context(), db.engine.connect() as connection:
        names = ("foreign_keys", "journal_mode", "busy_timeout")
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
    assert found == {"foreign_keys": 1, "journal_mode": "wal", "busy_timeout": 200}


def test_a_writer_waits_and_a_reader_does_not(app: Flask, db: Any) -> None:
    """A request that only reads sees what was committed; one that writes and waits too long is answered 503."""

    def view() -> str:
        return str(db.session.scalar(sa.select(1)))

    app.add_url_rule("/view", view_func=view, methods=["GET", "POST"])
    client = app.test_client()
    with app.app_context():
        engine = db.engine
    with engine.connect() as connection, connection.begin():
        response = client.post("/view")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert client.get("/view").text == "1"
    assert client.post("/view").status_code == 200


def test_a_file_that_is_read_only_is_away(app: Flask, db: Any) -> None:
    @app.post("/write")
    def write() -> str:
        return str(db.session.execute(sa.text("CREATE TABLE never (id integer)")).rowcount)

    with app.app_context():
        engine = db.engine
    only = ["ON"]
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA query_only = {only[-1]}"))
    assert app.test_client().post("/write").status_code == 503
    only.append("OFF")
    assert app.test_client().post("/write").status_code == 200, "the connection was opened anew"


@pytest.mark.parametrize("option", ["timeout=abc", "mode=ro", "nonsense=1"])
def test_options_are_refused(probe: Callable[..., Flask], package: ModuleType, option: str) -> None:
    """What the driver knows of them is set; the rest would be ignored."""
    with pytest.raises(
        package.core.settings.ConfigError, match="DATABASE_URL: Set it to the address of a database such as"
    ):
        probe("extensions.sqlalchemy", DATABASE_URL=f"sqlite:////name.sqlite?{option}")


def test_it_is_what_production_expects(
    probe: Callable[..., Flask], production: dict[str, str], monkeypatch: pytest.MonkeyPatch, package: ModuleType
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(package.core.settings.ConfigError, match="sqlite:////folder/name"):
        probe("extensions.sqlalchemy", **production)
