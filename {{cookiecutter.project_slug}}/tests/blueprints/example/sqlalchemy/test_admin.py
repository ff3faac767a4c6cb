from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def test_notes(
    browser: Any, create: Callable[..., Any], package: ModuleType, sign_in: Any, staff: Any, db: Any
) -> None:
    sign_in(staff)
    note = create(import_module(".blueprints.example.sqlalchemy", package.__name__).NoteRow, title="Shopping", text="")
    browser.open("/admin/notes", query_string={"q": "shop"})
    browser.open(browser.page.select_one("tbody a")["href"])
    assert browser.send(text="x" * 10_001).status_code == 422
    browser.send(title="Errands", text="")
    assert [link.text for link in browser.page.select("tbody a")] == ["Errands"]
    db.refresh(note)
    assert (note.title, note.version) == ("Errands", 2)
    browser.open("/admin/notes/new")
    browser.send(title="Bread", text="")
    assert sorted(link.text for link in browser.page.select("tbody a")) == ["Bread", "Errands"]
