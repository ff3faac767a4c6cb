import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from shutil import copy
from types import ModuleType

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from werkzeug.exceptions import ServiceUnavailable


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.sqlalchemy", package.__name__)


@pytest.fixture
def folder(extension: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for migrations that has none yet."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    copy(extension.migrations.FOLDER / "script.py.mako", folder)
    monkeypatch.setattr(extension.migrations, "FOLDER", folder)
    return folder


@pytest.fixture
def migrating(probe: Callable[..., Flask], folder: Path, extension: ModuleType, tmp_path: Path) -> Callable[[], Flask]:
    """Make an application with a database and migrations of its own, as each start of a process does."""

    def make() -> Flask:
        return probe("extensions.sqlalchemy", DATABASE_URL=f"sqlite:///{tmp_path / 'migrated.sqlite'}", ALEMBIC={})

    return make


@pytest.fixture
def pets(extension: ModuleType) -> Iterator[sa.Table]:
    """A table among those of the service."""
    table = sa.Table(
        "pets",
        extension.Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("born", extension.UTCDateTime),
    )
    yield table
    extension.Base.metadata.remove(table)


def command(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=args)


def succeed(app: Flask, *args: str) -> str:
    result = command(app, *args)
    assert result.exit_code == 0, result.output
    return result.output


def ready(app: Flask) -> tuple[int, str]:
    response = app.test_client().get("/readyz")
    return response.status_code, response.json["checks"]["sqlalchemy"]  # type: ignore[index]


def test_alembic_is_imported_for_migrations_only(probe: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("alembic", "flask_alembic")]:
        monkeypatch.delitem(sys.modules, name)
    probe("extensions.sqlalchemy").test_client().get("/").close()
    assert not {"alembic", "flask_alembic"} & sys.modules.keys()


def test_without_models_there_is_nothing_to_migrate(
    migrating: Callable[[], Flask], folder: Path, extension: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extension.Base, "metadata", sa.MetaData())
    succeed(migrating(), "first-migration")
    assert not list(folder.glob("*.py"))
    assert ready(migrating()) == (200, "ok")


@pytest.mark.usefixtures("pets")
def test_models_without_a_migration_are_not_deployed(migrating: Callable[[], Flask]) -> None:
    result = command(migrating(), "db", "upgrade")
    assert result.exit_code == 1
    assert "run `first-migration`" in result.output


def test_the_life_of_a_schema(
    migrating: Callable[[], Flask], folder: Path, pets: sa.Table, extension: ModuleType
) -> None:
    succeed(migrating(), "first-migration")
    succeed(migrating(), "first-migration")  # There is one.
    (first,) = folder.glob("*_first.py")
    assert f"{extension.__name__}.UTCDateTime(timezone=True)" in first.read_text()

    status, reason = ready(migrating())
    assert (status, "`db upgrade`" in reason) == (503, True)
    succeed(migrating(), "db", "upgrade")
    assert ready(migrating()) == (200, "ok")
    succeed(migrating(), "db", "check")

    pets.append_column(sa.Column("name", sa.String(50), nullable=True))
    assert command(migrating(), "db", "check").exit_code == 1
    # Two within a second.
    succeed(migrating(), "db", "revision", "Names of pets")
    succeed(migrating(), "db", "upgrade")
    succeed(migrating(), "db", "check")

    app = migrating()
    with app.app_context(), extension.db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'later'"))
    assert ready(app) == (200, "ok"), "a newer schema gets along with this process"
    for arguments in ([], ["head"], ["heads"]):
        assert "newer than this release: nothing to do" in succeed(migrating(), "db", "upgrade", *arguments)
    assert "Can't locate revision" in command(migrating(), "db", "upgrade", "later").output, "what is named is known"
    assert command(migrating(), "db", "downgrade").exit_code == 1


def test_a_further_database_has_migrations_of_its_own(
    probe: Callable[..., Flask], folder: Path, extension: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extension.Base, "metadata", sa.MetaData())
    metadata, further = sa.MetaData(), folder / "further"
    sa.Table("ships", metadata, sa.Column("id", sa.Integer, primary_key=True))
    further.mkdir()
    copy(folder / "script.py.mako", further)
    urls = {name: f"sqlite:///{tmp_path / name}.sqlite" for name in ("own", "further")}

    def make() -> Flask:
        engines = {"further": urls["further"]}
        app = probe("extensions.sqlalchemy", DATABASE_URL=urls["own"], SQLALCHEMY_ENGINES=engines, ALEMBIC={})
        extension.migrations.add(app, "further", metadata, further)
        return app

    succeed(make(), "first-migration")
    assert not list(folder.glob("*.py"))
    (first,) = further.glob("*_first.py")
    assert "ships" in first.read_text()
    succeed(make(), "db", "upgrade")
    with make().app_context(), pytest.raises(ServiceUnavailable, match="run `further upgrade`"):
        extension.ready("further")
    for command in ("upgrade", "upgrade", "check"):
        succeed(make(), "further", command)
    with make().app_context():
        extension.ready("further")
        assert not sa.inspect(extension.db.engine).has_table("ships")


def test_a_type_is_no_change(migrating: Callable[[], Flask], pets: sa.Table) -> None:
    """What the database calls a type is compared with what the model calls it."""
    names = (
        "BigInteger Boolean Date DateTime Double Float Interval JSON LargeBinary Numeric SmallInteger Text Time Uuid"
    )
    types = [getattr(sa, name)() for name in names.split()]
    for number, kind in enumerate(
        [*types, sa.CHAR(9), sa.Enum("a", "b"), sa.Numeric(9, 3), sa.String(9), sa.Unicode(9)]
    ):
        pets.append_column(sa.Column(f"column_{number}", kind))
    succeed(migrating(), "first-migration")
    succeed(migrating(), "db", "upgrade")
    succeed(migrating(), "db", "check")


def test_what_is_dropped_on_sqlite_comes_back_on_any_database(
    migrating: Callable[[], Flask], folder: Path, pets: sa.Table, extension: ModuleType
) -> None:
    succeed(migrating(), "first-migration")
    succeed(migrating(), "db", "upgrade")
    extension.Base.metadata.remove(pets)
    succeed(migrating(), "db", "revision", "No pets")
    (migration,) = folder.glob("*_no_pets.py")
    assert "sa.Column('born', sa.DateTime(timezone=True)" in migration.read_text()


def test_defaults_are_those_of_any_database(migrating: Callable[[], Flask], folder: Path, pets: sa.Table) -> None:
    for name, default in (("tame", sa.false()), ("alive", sa.true())):
        pets.append_column(sa.Column(name, sa.Boolean, server_default=default))
    for number, text in enumerate(("", "a")):
        pets.append_column(sa.Column(f"text_{number}", sa.String(9), server_default=text))
    succeed(migrating(), "first-migration")
    (first,) = folder.glob("*_first.py")
    assert "server_default=sa.false()" in first.read_text()
    assert "server_default=sa.true()" in first.read_text()
    succeed(migrating(), "db", "upgrade")
    succeed(migrating(), "db", "check")


def test_a_database_that_is_away_is_said(probe: Callable[..., Flask]) -> None:
    result = command(probe("extensions.sqlalchemy", DATABASE_URL="sqlite:////nowhere/at/all.sqlite"), "db", "current")
    assert result.exit_code == 1
    assert result.output.splitlines() == ["Error: (sqlite3.OperationalError) unable to open database file"]


def test_the_migrations_of_the_service_lead_to_its_models(app: Flask, extension: ModuleType) -> None:
    """On the database that the tests run on."""
    if list(extension.migrations.FOLDER.glob("*.py")):
        succeed(app, "db", "check")
    else:
        assert not extension.Base.metadata.tables, "make test makes the first migration"
