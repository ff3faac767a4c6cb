from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from flask import Flask
from sqlalchemy import update


def test_who_has_seen_an_older_version_changes_nothing(
    app: Flask, create: Callable[..., Any], package: ModuleType
) -> None:
    example = import_module(".blueprints.example.sqlalchemy", package.__name__)
    note = create(example.NoteRow, title="Shopping", text="")
    write = update(example.NoteRow).values(version=2)
    with app.app_context():
        assert [example.changed(write, note.id, 1) for _ in range(2)] == [True, False]
