import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.sqlalchemy", package.__name__)


@pytest.fixture
def migrated(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    """An application with a database of its own, with the service's ``env.py`` but no migration yet."""
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    migrate = app.extensions["migrate"]
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.directory, folder, ignore=shutil.ignore_patterns("versions", "__pycache__"))
    migrate.directory = migrate.migrate.directory = str(folder)
    return app


@pytest.fixture
def pets(extension: ModuleType) -> Iterator[sa.Table]:
    """A table among those of the service."""
    table = sa.Table("pets", extension.Base.metadata, sa.Column("id", sa.Integer, primary_key=True))
    yield table
    extension.Base.metadata.remove(table)


def command(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=args)


def succeed(app: Flask, *args: str) -> str:
    result = command(app, *args)
    assert result.exit_code == 0, result.output
    return result.output


def test_alembic_is_imported_for_migrations_only(package: ModuleType) -> None:
    code = f"import sys, {package.__name__} as p; p.create_app(dict(APP_ENV='testing')); sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_models_there_is_nothing_to_migrate(
    migrated: Flask, extension: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extension.db.metadata, "tables", {})
    succeed(migrated, "first-migration")
    assert not Path(migrated.extensions["migrate"].directory, "versions").exists()
    assert migrated.test_client().get("/readyz").status_code == 200


@pytest.mark.usefixtures("pets")
def test_models_without_a_migration_are_not_deployed(migrated: Flask) -> None:
    result = command(migrated, "db", "upgrade")
    assert result.exit_code == 1
    assert "run `first-migration`" in result.output


def test_the_life_of_a_schema(
    migrated: Flask,
    pets: sa.Table,
    extension: ModuleType,
    pytestconfig: pytest.Config,
    caplog: pytest.LogCaptureFixture,
) -> None:
    versions = Path(migrated.extensions["migrate"].directory, "versions")
    succeed(migrated, "first-migration")
    succeed(migrated, "first-migration")  # There is one.
    (first,) = versions.glob("*_first.py")
    assert "pets" in first.read_text()
    for arguments in (["check"], ["format", "--check"]):
        config = pytestconfig.rootpath / "pyproject.toml"
        subprocess.run([sys.executable, "-m", "ruff", *arguments, "--config", config, first], check=True)

    response = migrated.test_client().get("/readyz")
    assert response.status_code == 503
    assert "`db upgrade`" in response.json["checks"]["sqlalchemy"]  # type: ignore[index]
    assert "CREATE TABLE pets" in succeed(migrated, "db", "upgrade", "--sql")
    succeed(migrated, "db", "upgrade")
    assert "Running upgrade" in caplog.text
    caplog.clear()
    assert migrated.test_client().get("/readyz").status_code == 200
    assert "alembic" not in caplog.text
    succeed(migrated, "db", "check")

    pets.append_column(sa.Column("name", sa.String(50), nullable=True))
    assert command(migrated, "db", "check").exit_code == 1
    succeed(migrated, "db", "migrate", "-m", "Names of pets")
    succeed(migrated, "db", "upgrade")
    succeed(migrated, "db", "check")

    with migrated.app_context(), extension.db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'later'"))
    assert migrated.test_client().get("/readyz").status_code == 200, "a newer schema gets along with this process"
    for arguments in ([], ["head"], ["heads"]):
        assert "newer than this release: nothing to do" in succeed(migrated, "db", "upgrade", *arguments)
    assert command(migrated, "db", "upgrade", "later").exit_code == 1, "what is named has to be known"
    assert command(migrated, "db", "downgrade").exit_code == 1


def test_a_database_that_is_away_is_said(make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture) -> None:
    result = command(make_app(DATABASE_URL="sqlite:////nowhere/at/all.sqlite"), "db", "upgrade")
    assert result.exit_code == 1
    assert "The database cannot be reached" in caplog.text


def test_the_migrations_of_the_service_lead_to_its_models(app: Flask) -> None:
    """On the database that the tests run on."""
    if any(Path(app.extensions["migrate"].directory, "versions").glob("*.py")):
        succeed(app, "db", "check")
    else:
        assert not app.extensions["sqlalchemy"].metadata.tables, "make test makes the first migration"
