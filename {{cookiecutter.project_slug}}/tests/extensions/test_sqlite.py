from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from flask import Flask


@pytest.fixture
def app(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    return make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'own.sqlite'}", DATABASE_TIMEOUT=0.3)


def test_pragmas(app: Flask) -> None:
    with app.app_context():
        engines = app.extensions["sqlalchemy"].engines
    for key, read_only in ((None, 0), ("read", 1)):
        with engines[key].connect() as connection:
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("foreign_keys", "journal_mode", "busy_timeout", "query_only")
            }
        assert found == {"foreign_keys": 1, "journal_mode": "wal", "busy_timeout": 300, "query_only": read_only}


def test_who_waits_too_long_is_answered_503(app: Flask, package: ModuleType) -> None:
    db = import_module(".extensions.sqlalchemy", package.__name__).db

    @app.get("/write")
    def write() -> str:
        return str(db.session.execute(sa.text("CREATE TABLE held (id integer)")).rowcount)

    @app.get("/read")
    def read() -> str:
        return str(db.reader.scalar(sa.select(1)))

    with app.app_context():
        engine = db.engine
    with engine.connect() as connection, connection.begin():
        response = app.test_client().get("/write")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert app.test_client().get("/read").text == "1"
    assert app.test_client().get("/write").status_code == 200


def test_it_is_what_production_expects(
    make_app: Callable[..., Flask], production: dict[str, str], monkeypatch: pytest.MonkeyPatch, package: ModuleType
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(package.core.settings.ConfigError, match="sqlite:////folder/name"):
        make_app(**production)
