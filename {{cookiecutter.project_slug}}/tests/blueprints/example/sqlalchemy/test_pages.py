from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def note(create: Callable[..., Any], package: ModuleType) -> Any:
    rows = import_module(".blueprints.example.sqlalchemy", package.__name__)
    return create(rows.NoteRow, title="Shopping", text="Bread")


@pytest.fixture
def titles(browser: Any) -> Callable[[], list[str]]:
    """The titles that the page lists."""
    return lambda: [link.text for link in browser.page.select("#notes li a")]


@pytest.mark.usefixtures("db")
def test_write(browser: Any) -> None:
    browser.open("/notes")
    assert "There are no such notes." in browser.page.text
    browser.open("/notes/new")
    browser.send(title="Shopping", text="Bread\n\nbutter")
    assert browser.page.select_one(".flash").text == "The note is saved."
    assert browser.page.h1.text == "Shopping"
    assert browser.page.select_one(".text").text == "Bread\n\nbutter"


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("wrong", [{"title": ""}, {"title": "x" * 81}, {"title": "a\0b"}, {"title": "x" * 500_000}])
def test_a_mistake_is_told_at_its_field(browser: Any, wrong: dict[str, str]) -> None:
    browser.open("/notes/new")
    assert browser.send(text="Bread", **wrong).status_code == 422
    field = browser.page.select_one("#title")
    assert "autofocus" in field.attrs
    assert browser.page.select_one(f"#{field['aria-describedby']}").text
    assert browser.page.select_one("#text").text.strip() == "Bread"


def test_edit(browser: Any, note: Any) -> None:
    browser.open(f"/notes/{note.id}/edit")
    assert browser.send(text="a\0b").status_code == 422
    assert browser.send(text="x" * 500_000).status_code == 422
    browser.send(text="Butter")
    assert (browser.page.h1.text, browser.page.select_one(".text").text) == ("Shopping", "Butter")


@pytest.mark.parametrize("version", ["0", "", "x", "9" * 400, "\0"])
def test_somebody_else_has_changed_it(browser: Any, note: Any, version: str) -> None:
    """What they wrote is shown beside what was to be written; to send that again is to have seen it."""
    for page, status in (("edit", 409), ("delete", 409)):
        browser.open(f"/notes/{note.id}/{page}")
        assert browser.send(version=version).status_code == (422 if version == "\0" else status)
        assert browser.page.select_one("[role=alert]").text
        assert "Bread" in [tag.text for tag in browser.page.select(".text")] or version == "\0"
        assert browser.open(f"/notes/{note.id}").status_code == 200
    browser.open(f"/notes/{note.id}/edit")
    browser.send(version="0", text="Butter")
    browser.send()
    assert browser.page.select_one(".text").text == "Butter"


def test_delete(browser: Any, note: Any) -> None:
    browser.open(f"/notes/{note.id}/delete")
    assert browser.page.h1.text == "Delete “Shopping”?"
    browser.send()
    assert browser.page.select_one(".flash").text == "The note is deleted."
    assert browser.open(f"/notes/{note.id}").status_code == 404


@pytest.mark.usefixtures("note")
@pytest.mark.parametrize(
    ("words", "found"),
    [("shop", True), ("BREAD ping", True), ("", True), ("%", False), ("_", False), ("bread milk", False), ("\0", True)],
)
def test_search(browser: Any, titles: Callable[[], list[str]], words: str, found: bool) -> None:
    browser.open("/notes", query_string={"q": words})
    assert titles() == ["Shopping"] * found


@pytest.mark.repeats
def test_pages(browser: Any, create: Callable[..., Any], note: Any, titles: Any, package: ModuleType) -> None:
    size = import_module(".blueprints.example.sqlalchemy.pages", package.__name__).PAGE_SIZE
    made = [create(type(note), title=f"Note {number}", text="").title for number in range(2 * size)]
    browser.open("/notes?q=note")
    assert titles()[:size] == made[: size - 1 : -1]
    browser.open(browser.page.select_one("#notes nav a")["href"])
    assert titles()[:size] == made[size - 1 :: -1]
    assert [link.text for link in browser.page.select("#notes nav a")] == ["Newest"]


def test_script_is_text(browser: Any, note: Any) -> None:
    """Stored and reflected, in every field."""
    browser.open(f"/notes/{note.id}/edit")
    browser.send(title=SCRIPT, text=SCRIPT)
    for path in (
        "/notes",
        f"/notes/{note.id}",
        f"/notes/{note.id}/edit",
        f"/notes/{note.id}/delete",
        "/notes?q=%3Cscript",
    ):
        text = browser.open(path, query_string={"q": SCRIPT} if path == "/notes" else None).text
        assert "alert(1)" in text
        assert not browser.page.select("script:not([src]), img")
    browser.open(f"/notes/{note.id}/edit")
    assert browser.send(title="x" * 81 + SCRIPT).status_code == 422
    assert not browser.page.select("script:not([src]), img")


@pytest.mark.parametrize("path", ["", "/edit", "/delete"])
@pytest.mark.usefixtures("db")
def test_no_such_note(browser: Any, path: str) -> None:
    assert browser.open(f"/notes/{UNKNOWN}{path}").status_code == 404
    assert browser.open(f"/notes/x{path}").status_code == 404


@pytest.mark.parametrize("page", ["new", "{}/edit", "{}/delete"])
def test_without_a_token(app: Flask, browser: Any, note: Any, page: str) -> None:
    path = f"/notes/{page.format(note.id)}"
    browser.open(path)
    assert browser.open(path, method="POST", data={"title": "x", "version": "1"}).status_code == 400
    stranger = type(browser)(app.test_client())
    assert stranger.open(path, method="POST", data={"title": "x", "version": "1"}).status_code == 422
    browser.open("/notes")
    assert [link.text for link in browser.page.select("#notes li a")] == ["Shopping"]
