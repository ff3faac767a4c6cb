"""A program that reads a row in several views, in turns, and prints the microseconds of each turn: started by sql.py.

Its arguments are the number of turns and the URL of a PostgreSQL database.
"""

import io
import json
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, ClassVar

import flask_service
import psycopg
import sqlalchemy as sa
from flask import Flask
from flask_service.extensions.sqlalchemy import Base, db
from sqlalchemy import orm

READS, WARM_UP = 50, 500
DSN = sys.argv[2]


class Note(Base):
    __tablename__ = "bench_notes"
    __table_args__: ClassVar[dict[str, Any]] = {"extend_existing": True}
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str]


def driver() -> Flask:
    """psycopg in autocommit, a connection kept."""
    app, connection = Flask("driver"), psycopg.connect(DSN, autocommit=True)

    @app.get("/notes/<int:key>")
    def note(key: int) -> Any:
        row = connection.execute("SELECT id, text FROM bench_notes WHERE id = %s", (key,)).fetchone()
        assert row
        return {"id": row[0], "text": row[1]}

    return app


def core() -> Flask:
    """SQLAlchemy Core as its tutorial shows it."""
    app, engine = Flask("core"), sa.create_engine(DSN.replace("postgresql://", "postgresql+psycopg://"))
    notes = sa.Table("bench_notes", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("text"))

    @app.get("/notes/<int:key>")
    def note(key: int) -> Any:
        with engine.connect() as connection:
            row = connection.execute(sa.select(notes).where(notes.c.id == key)).one()
            return {"id": row.id, "text": row.text}

    return app


def service(read: Callable[[int], Any]) -> Flask:
    """The generated service, in production, with a model and a route."""
    app = flask_service.create_app()

    @app.get("/bench/notes/<int:key>")
    def note(key: int) -> Any:
        found = read(key)
        return {"id": found.id, "text": found.text}

    return app


def get(app: Flask, path: str) -> None:
    """Send a request and read the answer, as a server does."""
    statuses = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    body: Any = app(environ, lambda status, headers, error=None: statuses.append(status))
    assert b'"text":"note 7"' in b"".join(body).replace(b": ", b":")
    if hasattr(body, "close"):
        body.close()
    assert statuses == ["200 OK"]


def measure(apps: dict[str, tuple[Flask, str]], turns: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in apps}
    for app, path in apps.values():
        for _ in range(WARM_UP):
            get(app, path)
    names = list(apps)
    for number in range(turns):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            app, path = apps[name]
            started = perf_counter()
            for _ in range(READS):
                get(app, path)
            seconds[name].append((perf_counter() - started) / READS * 1e6)
    return seconds


if __name__ == "__main__":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_notes (id integer PRIMARY KEY, text varchar NOT NULL)")
        connection.execute("INSERT INTO bench_notes SELECT n, 'note ' || n FROM generate_series(1, 1000) n")
        connection.execute("VACUUM ANALYZE bench_notes")
    found = {
        "psycopg, autocommit": (driver(), "/notes/7"),
        "Core as shipped": (core(), "/notes/7"),
        "service, `db.session.get`": (service(lambda key: db.session.get(Note, key)), "/bench/notes/7"),
    }
    print(json.dumps(measure(found, int(sys.argv[1]))))
