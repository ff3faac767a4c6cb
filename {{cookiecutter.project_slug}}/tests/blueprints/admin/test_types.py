"""A column of each type: what is written comes back, and what is wrong is told at its field."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:Dialect sqlite:sqlalchemy.exc.SAWarning")
CODE = "00000000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def signed_in(sign_in: Any, staff: Any) -> None:
    sign_in(staff)


RIGHT = {
    "about": ("a\r\nb", "a\nb"),
    "small": ("-32768", -32768),
    "count": ("2147483647", 2**31 - 1),
    "large": ("-9223372036854775808", -(2**63)),
    "weight": ("1.5e-3", 0.0015),
    "price": ("-9999999.25", Decimal("-9999999.25")),
    "sold": ("y", True),
    "checked": ("no", False),
    "colour": ("BLUE", "BLUE"),
    "size": ("large", "large"),
    "day": ("2026-02-28", date(2026, 2, 28)),
    "at": ("23:59:07", time(23, 59, 7)),
    "moment": ("2026-02-28T23:59", datetime(2026, 2, 28, 23, 59, tzinfo=UTC)),
    "code": (CODE.upper(), UUID(CODE)),
    "data_": ('{"a": [1, null, "ä"]}', {"a": [1, None, "ä"]}),
    "lasts": ("-90", timedelta(seconds=-90)),
}


def stored(thing: Any, name: str) -> Any:
    value = getattr(thing, name.rstrip("_"))
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return getattr(value, "name", value)


def test_all_at_once(browser: Any, things: Any, create: Callable[..., Any], db: Any, changes: Any) -> None:
    shelf = create(things.Shelf, name="Attic")
    browser.open("/admin/scratch_things/new")
    browser.send(name="Lamp", shelf_id=str(shelf.id), **{name: text for name, (text, _) in RIGHT.items()})
    assert [str(tag) for tag in browser.page.select("[aria-invalid] + .about")] == []
    (thing,) = db.query(things.Thing)
    assert {name: stored(thing, name) for name in RIGHT} == {name: value for name, (_, value) in RIGHT.items()}
    assert (thing.shelf_id, thing.secret) == (shelf.id, "kept")
    assert changes[0]["fields"] == sorted(["name", "shelf_id", *(name.rstrip("_") for name in RIGHT)])
    # What is sent as it was shown changes nothing.
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    browser.send(sold="y")
    assert len(changes) == 1
    # All that may be empty is emptied.
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    data = {str(field["name"]): "" for field in browser.page.select("form [name]")}
    data |= {"name": "Lamp", "size": "small", "version": str(thing.version)}
    data["csrf_token"] = browser.page.select_one("[name=csrf_token]")["value"]
    data.pop("sold")
    assert browser.client.post(browser.address, data=data).status_code == 303
    db.refresh(thing)
    emptied = {name: stored(thing, name) for name in RIGHT if name not in ("sold", "size")}
    assert emptied == dict.fromkeys(emptied)
    assert (thing.sold, thing.size, thing.shelf_id) == (False, "small", None)
    assert db.query(things.Thing).filter(things.Thing.data.is_(None)).count() == 1
    assert changes[1]["fields"] == sorted({*changes[0]["fields"]} - {"name"})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("name", ["", "x" * 41, "a\0b", "x" * 400_000]),
        ("about", ["a\0b"]),
        ("small", ["x", "1.5", "32768", "-32769", "9" * 400, "9" * 5000, "\0", "nan"]),
        ("count", ["x", "2147483648", "9" * 400]),
        ("large", ["x", "9223372036854775808", "9" * 400]),
        ("weight", ["x", "nan", "inf", "-inf", "1e999", "\0"]),
        ("price", ["x", "nan", "sNaN", "inf", "1e999999", "10000000000", "0.001", "1e-999999", "\0"]),
        ("checked", ["x", "\0", "True"]),
        ("colour", ["x", "b", "\0", "x" * 400_000]),
        ("size", ["x", "\0"]),
        ("day", ["x", "2026-02-30", "0000-01-01", "2026-02-28T10:00", "\0"]),
        ("at", ["x", "24:00", "\0"]),
        ("moment", ["x", "2026-02-28", "2026-02-30T10:00", "\0"]),
        ("code", ["x", CODE[:-1], "\0", "x" * 400_000]),
        ("data_", ["x", "{", "NaN", "1e999", '"\\ud800"', "[" * 100_000, "9" * 5000, "\0"]),
        ("lasts", ["x", "nan", "inf", "1e300", "1:00", "\0"]),
        ("shelf_id", ["x", "0", "-1", "99999999999999999999", "9" * 5000, "\0"]),
    ],
)
def test_what_is_wrong_is_told_at_its_field(browser: Any, things: Any, db: Any, name: str, wrong: list[str]) -> None:
    for text in wrong:
        browser.open("/admin/scratch_things/new")
        answer = browser.send(**{"name": "Lamp", name: text})
        assert answer.status_code == 422, text[:40]
        assert browser.page.select_one(f"#{name}-about").text.strip(), text[:40]
        assert browser.page.select_one(f"#{name}")["aria-invalid"] == "true"
        assert [field["name"] for field in browser.page.select("[aria-invalid]")] == [name]
    assert db.query(things.Thing).count() == 0


def test_fields_that_are_missing_or_repeated(browser: Any, thing: Any, db: Any) -> None:
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    token = browser.page.select_one("[name=csrf_token]")["value"]
    assert browser.client.post(browser.address, data={"csrf_token": token}).status_code == 422
    assert browser.client.post(browser.address, data={"csrf_token": token, "version": "1"}).status_code in (303, 422)
    fields = [str(field["name"]) for field in browser.page.select("form [name]")]
    for texts in (["", ""], ["1", "2"], ["x", "\0"]):
        data: dict[str, Any] = dict.fromkeys(fields, texts) | {"csrf_token": token, "version": "1"}
        assert browser.client.post(browser.address, data=data).status_code in (303, 422)
    db.refresh(thing)
    assert thing.name


def test_what_a_form_does_not_show_is_kept(browser: Any, things: Any, create: Callable[..., Any], db: Any) -> None:
    moment = datetime(2026, 2, 28, 23, 59, 7, 250_000, tzinfo=UTC)
    thing = create(things.Thing, name="Lamp", moment=moment, at=time(1, 2, 3), about="a\r\nb")
    kept = stored(thing, "moment"), thing.at, thing.about
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    browser.send(name="Sofa")
    db.refresh(thing)
    assert thing.name == "Sofa"
    assert (thing.at, thing.about) == kept[1:]
    assert abs(stored(thing, "moment") - moment) < timedelta(seconds=1)


@pytest.mark.repeats
def test_the_key_of_a_large_table(
    browser: Any, things: Any, create: Callable[..., Any], db: Any, monkeypatch: Any, admin: Any
) -> None:
    """Above some rows, the key is asked for: one that does not exist is refused by the database."""
    monkeypatch.setattr(admin.fields, "CHOICES", 2)
    shelves = [create(things.Shelf, name=name) for name in "abc"]
    browser.open("/admin/scratch_things/new")
    assert browser.page.select_one("#shelf_id").name == "input"
    assert browser.send(name="Lamp", shelf_id=str(shelves[2].id + 1000)).status_code == 422
    assert browser.page.select_one("[role=alert]").text
    browser.send(shelf_id=str(shelves[1].id))
    (thing,) = db.query(things.Thing)
    assert thing.shelf_id == shelves[1].id


def test_a_text_that_is_too_long_for_the_database(browser: Any, things: Any, db: Any) -> None:
    """MySQL takes 64 KB; all others take it."""
    browser.open("/admin/scratch_things/new")
    assert browser.send(name="Lamp", about="x" * 400_000).status_code in (200, 422)
