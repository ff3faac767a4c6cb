from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, cast
from uuid import UUID

import pytest
from flask import Flask

SCRIPT = "<script>alert(1)</script>\"'>"
#: What only a database has that stores decimals as such, and SQLite has not.
pytestmark = pytest.mark.filterwarnings("ignore:Dialect sqlite:sqlalchemy.exc.SAWarning")


@pytest.fixture(autouse=True)
def signed_in(request: pytest.FixtureRequest, db: Any) -> None:
    if "nobody" not in request.fixturenames:
        request.getfixturevalue("sign_in")(request.getfixturevalue("staff"))


@pytest.fixture
def nobody() -> None:
    """For tests in which nobody is signed in."""


def names(browser: Any) -> list[str]:
    return [cell.text for cell in browser.page.select("tbody td:first-child a")]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.usefixtures("nobody")
def test_for_staff_only(app: Flask, browser: Any, user: Any, staff: Any, sign_in: Any, thing: Any, method: str) -> None:
    """Every page of it, whatever it will be: those that the application has are asked."""
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("admin.") and method in (rule.methods or ())
    ]
    paths = [rule.rule.replace("<name>", "scratch_things") for rule in rules]
    assert len(paths) >= 3
    strangers = (None, 401), (user, 403)
    for person, status in strangers:
        client = app.test_client()
        if person:
            sign_in(person, client)
        for path in [*paths, "/admin/nothing"] if method == "GET" else paths:
            # A form without its token is refused before, and a program without a cookie is asked who it is.
            answer = client.open(path, method=method, query_string={"key": str(thing.id)})
            assert answer.status_code == (400 if person and method == "POST" else status), path
    browser.open("/admin")
    assert browser.page.h1.text == "Sign in"


@pytest.mark.usefixtures("nobody")
def test_a_form_of_who_is_no_longer_staff(browser: Any, db: Any, staff: Any, sign_in: Any, thing: Any) -> None:
    sign_in(staff)
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    staff.staff = False
    db.commit()
    assert browser.send(name="Sofa").status_code == 403
    db.refresh(thing)
    assert thing.name == "Lamp"


@pytest.mark.usefixtures("nobody")
def test_only_staff_sees_the_way(browser: Any, user: Any, staff: Any, sign_in: Any) -> None:
    for person, seen in ((None, False), (user, False), (staff, True)):
        if person:
            sign_in(person)
        browser.open("/account")
        assert ("Administration" in [link.text for link in browser.page.select("header a")]) is seen


def test_index(browser: Any, things: Any) -> None:
    browser.open("/admin")
    links = {link.text: link["href"] for link in browser.page.select("main li a")}
    assert links["Users"] == "/admin/users"
    assert links["Scratch things"] == "/admin/scratch_things"


@pytest.mark.parametrize("path", ["nothing", "nothing/new", "nothing/change?key=1", "users/new", "users/nothing"])
def test_no_such_page(browser: Any, path: str) -> None:
    assert browser.open(f"/admin/{path}").status_code == 404


@pytest.mark.parametrize(
    "key", ["", "x", "\0", "9" * 400, "00000000-0000-7000-8000-000000000000", "-1", "1e3", "x" * 9000]
)
@pytest.mark.parametrize("table", ["users", "scratch_things"])
@pytest.mark.parametrize("page", ["change", "delete"])
def test_no_such_row(browser: Any, things: Any, key: str, table: str, page: str) -> None:
    assert browser.open(f"/admin/{table}/{page}", query_string={"key": key}).status_code == 404
    assert browser.open(f"/admin/{table}/{page}").status_code == 404


def test_make_change_and_delete(
    browser: Any, things: Any, db: Any, staff: Any, changes: Any, caplog: pytest.LogCaptureFixture
) -> None:
    browser.open("/admin/scratch_shelves")
    browser.open(browser.page.select_one("main a.button")["href"])
    browser.send(name="Attic")
    assert browser.page.select_one(".flash").text == "It is saved."
    assert names(browser) == ["Attic"]
    browser.open(browser.page.select_one("tbody a")["href"])
    browser.send(name="Cellar")
    assert names(browser) == ["Cellar"]
    browser.open(browser.page.select_one("tbody a")["href"])
    browser.send()  # nothing is changed, and nothing is told
    browser.open(browser.page.select_one("tbody a")["href"])
    browser.open(browser.page.select_one("main a.button")["href"])
    assert browser.page.h1.text == "Delete “Cellar”?"
    assert names_in(db, things.Shelf) == ["Cellar"]
    browser.send()
    assert browser.page.select_one(".flash").text == "It is deleted."
    assert names(browser) == []
    about = {"table": "scratch_shelves", "user": staff.id, "key": changes[0]["key"]}
    assert changes == [
        about | {"action": "create", "fields": ["name"]},
        about | {"action": "change", "fields": ["name"]},
        about | {"action": "delete", "fields": []},
    ]
    logged = [cast(Any, line.msg) for line in caplog.records if "admin_change" in str(line.msg)]
    assert [{name: line[name] for name in changes[0]} for line in logged] == changes
    assert "Cellar" not in str(logged)


def names_in(db: Any, model: Any) -> list[str]:
    return [row.name for row in db.query(model)]


def test_somebody_else_has_changed_it(browser: Any, db: Any, thing: Any, changes: Any) -> None:
    for page, sent in (("change", {"name": "Sofa"}), ("delete", {})):
        browser.open(f"/admin/scratch_things/{page}", query_string={"key": str(thing.id)})
        thing.about, thing.version = "by another", thing.version + 1
        db.commit()
        answer = browser.send(**sent)
        assert answer.status_code == 409
        assert browser.page.select_one("[role=alert]").text.startswith("Somebody else has changed this")
        assert "by another" in browser.page.dl.text
        assert changes == []
    assert names_in(db, type(thing)) == ["Lamp"]
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    browser.send(version="0", name="Sofa")
    browser.send()
    db.refresh(thing)
    assert (thing.name, thing.version) == ("Sofa", 4)


def test_a_value_that_is_taken(browser: Any, db: Any, thing: Any, create: Callable[..., Any], changes: Any) -> None:
    create(type(thing), name="Sofa")
    browser.open("/admin/scratch_things/new")
    assert browser.send(name="Lamp").status_code == 422
    assert "a value is taken" in browser.page.select_one("[role=alert]").text
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    assert browser.send(name="Sofa").status_code == 422
    assert browser.page.h1.text == "Lamp"
    assert browser.page.select_one("#name")["value"] == "Sofa"
    assert changes == []
    assert sorted(names_in(db, type(thing))) == ["Lamp", "Sofa"]


def test_a_value_that_the_table_does_not_take(browser: Any, db: Any, thing: Any, changes: Any) -> None:
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    assert browser.send(small="13").status_code == 422
    assert "breaks a rule of the table" in browser.page.select_one("[role=alert]").text
    assert changes == []


@pytest.mark.parametrize("child", ["Thing", "Sign"])
def test_a_row_that_others_refer_to(
    browser: Any, things: Any, create: Callable[..., Any], changes: Any, child: str
) -> None:
    shelf = create(things.Shelf, name="Attic")
    create(getattr(things, child), shelf_id=shelf.id)
    browser.open("/admin/scratch_shelves/delete", query_string={"key": shelf.id})
    assert browser.send().status_code == 422
    assert "other rows refer" in browser.page.select_one("[role=alert]").text
    assert changes == []


def test_nothing_else_can_be_changed(browser: Any, db: Any, thing: Any, user: Any) -> None:
    """Neither what is not in the form, nor the key."""
    data = {"size": "small", "secret": "told", "picture": "x", "id": "00000000-0000-7000-8000-000000000000"}
    for path, key in (("/admin/scratch_things/change", thing.id), ("/admin/users/change", user.id)):
        answer = browser.open(path, query_string={"key": str(key)})
        assert "kept" not in answer.text
        assert "argon2" not in answer.text
        form = {str(field["name"]): field.get("value", "") for field in browser.page.select("form [name]")}
        more = {"email": "eve@example.com", "password": "told", "totp_secret": "x", "staff": "y"}
        assert browser.client.post(browser.address, data=form | {"name": "Sofa"} | data | more).status_code == 303
    db.refresh(thing)
    db.refresh(user)
    assert (thing.name, thing.secret, thing.picture) == ("Sofa", "kept", None)
    assert (user.email, user.staff, user.totp_secret) == ("ada@example.com", True, None)


@pytest.mark.usefixtures("nobody")
def test_what_needs_a_recent_sign_in(
    browser: Any, db: Any, staff: Any, user: Any, sign_in: Any, accounts: Any, thing: Any, password: str
) -> None:
    sign_in(staff, confirmed=accounts.now() - 2 * accounts.RECENT)
    for page in ("scratch_things/delete", "users/change", "users/delete"):
        key = str(thing.id if "things" in page else user.id)
        browser.open(f"/admin/{page}", query_string={"key": key})
        assert browser.page.h1.text == "Confirm that it is you"
    browser.open("/admin/scratch_things/change", query_string={"key": str(thing.id)})
    assert browser.page.h1.text == "Lamp"
    browser.open("/admin/users/change", query_string={"key": user.id})
    browser.send(password=password)
    assert browser.page.h1.text == user.email
    browser.send(staff="y")
    db.refresh(user)
    assert user.staff


def test_without_a_token(app: Flask, browser: Any, db: Any, thing: Any) -> None:
    for page in ("new", "change", "delete"):
        path = f"/admin/scratch_things/{page}"
        answer = browser.open(
            path, method="POST", query_string={"key": str(thing.id)}, data={"name": "x", "version": "1"}
        )
        assert answer.status_code == 400
    assert names_in(db, type(thing)) == ["Lamp"]


def test_script_is_text(browser: Any, things: Any, create: Callable[..., Any]) -> None:
    """Stored and reflected, in every text."""
    shelf = create(things.Shelf, name=SCRIPT)
    thing = create(things.Thing, name=SCRIPT, about=SCRIPT, data={SCRIPT: SCRIPT}, shelf_id=shelf.id)
    for path in ("", "/new", f"/change?key={thing.id}", f"/delete?key={thing.id}"):
        text = browser.open(f"/admin/scratch_things{path}").text
        assert "alert(1)" in text
        assert not browser.page.select("script:not([src])")
    browser.open(
        "/admin/scratch_things", query_string=dict.fromkeys(["q", "order", "page", "is-code", "is-colour"], SCRIPT)
    )
    assert not browser.page.select("script:not([src])")
    browser.open("/admin/scratch_shelves/new")
    assert browser.send(name=SCRIPT * 9).status_code == 422
    assert not browser.page.select("script:not([src])")


@pytest.mark.parametrize(
    ("words", "found"),
    [("lam", True), ("LAMP green", True), ("", True), ("%", False), ("_", False), ("lamp red", False), ("\0", True)],
)
def test_search(browser: Any, things: Any, create: Callable[..., Any], words: str, found: bool) -> None:
    create(things.Thing, name="Lamp", about="It is green.")
    browser.open("/admin/scratch_things", query_string={"q": words})
    assert names(browser) == ["Lamp"] * found


def test_order(browser: Any, things: Any, create: Callable[..., Any]) -> None:
    for name, count in (("a", 2), ("b", 1), ("c", 3)):
        create(things.Thing, name=name, count=count)
    browser.open("/admin/scratch_things")
    for expected in (["b", "a", "c"], ["c", "a", "b"]):
        (link,) = [link for link in browser.page.select("th a") if link.text == "Count"]
        browser.open(link["href"])
        assert names(browser) == expected
    assert browser.page.select_one("[aria-sort=descending]").text.strip() == "Count"
    for order in ("secret", "-secret", "data", "nothing", "-", "", "\0", "__class__"):
        assert browser.open("/admin/scratch_things", query_string={"order": order}).status_code == 200
        assert sorted(names(browser)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("sold", "yes", "b"),
        ("sold", "no", "a"),
        ("checked", "no", "a"),
        ("colour", "BLUE", "b"),
        ("count", "7", "a"),
        ("code", "00000000-0000-7000-8000-000000000001", "a"),
        ("shelf_id", "", "ab"),
        ("secret", "told", "ab"),
    ],
)
def test_filters(browser: Any, things: Any, create: Callable[..., Any], name: str, value: str, found: str) -> None:
    colour, code = things.Thing.colour.type.enum_class, UUID("00000000-0000-7000-8000-000000000001")
    create(things.Thing, name="a", checked=False, count=7, colour=colour.RED, code=code)
    create(things.Thing, name="b", sold=True, colour=colour.BLUE)
    browser.open("/admin/scratch_things", query_string={f"is-{name}": value, "order": "name"})
    assert names(browser) == list(found)


def test_a_filter_by_another_table(browser: Any, things: Any, create: Callable[..., Any], count_queries: Any) -> None:
    shelf = create(things.Shelf, name="Attic")
    for number in range(12):
        create(things.Thing, name=f"{number:02}", shelf_id=shelf.id if number % 2 else None)
    browser.open("/admin/scratch_things", query_string={"order": "-name"})
    assert browser.page.text.count("Attic") == 7  # in the filter, too
    browser.open("/admin/scratch_things", query_string={"is-shelf_id": shelf.id, "order": "-name"})
    assert names(browser) == ["11", "09", "07", "05", "03", "01"]


@pytest.mark.parametrize("name", ["sold", "colour", "count", "code", "shelf_id"])
@pytest.mark.parametrize("value", ["x", "\0", "9" * 5000, "-", "99999999999999999999"])
def test_no_such_filter(browser: Any, thing: Any, name: str, value: str) -> None:
    assert browser.open("/admin/scratch_things", query_string={f"is-{name}": value}).status_code == 422
    assert browser.page.select_one(f"#is-{name}-about").text
    assert names(browser) == []


@pytest.mark.repeats
def test_pages(browser: Any, things: Any, create: Callable[..., Any], package: ModuleType) -> None:
    size = import_module(".blueprints.admin.sections", package.__name__).PAGE_SIZE
    expected = [range(size), range(size, 2 * size), range(2 * size, 2 * size + 10)]
    for number in range(2 * size + 10):
        create(things.Shelf, name=f"{number:03}")
    browser.open("/admin/scratch_shelves?order=name")
    pages: list[list[str]] = []
    while True:
        pages.append(names(browser))
        following = browser.page.select_one("nav[aria-label=Pages] li:last-child a")
        if following.text != "Next":
            break
        browser.open(following["href"])
    assert pages == [[f"{number:03}" for number in page] for page in expected]
    for page in ("0", "-1", "x", "9" * 400, "99999999999"):
        assert browser.open("/admin/scratch_shelves", query_string={"page": page}).status_code == 200


@pytest.mark.parametrize(
    "names",
    [
        {"columns": ["nothing"]},
        {"columns": ["name", "picture"]},
        {"fields": ["picture"]},
        {"search": ["count"]},
        {"search": ["colour"]},
        {"filters": ["data"]},
    ],
)
def test_a_section_that_is_wrong_is_refused_at_the_start(admin: ModuleType, tables: Any, names: Any) -> None:
    with pytest.raises(ValueError, match="Thing has no column"):
        admin.Section(tables.Thing, **{"columns": ["name"], **names})


def test_a_type_without_a_field(admin: ModuleType, tables: Any) -> None:
    with pytest.raises(TypeError, match="no field for the type of tags"):
        admin.Section(tables.Odd, ["id"], ["tags"])


def test_no_secret_of_accounts(browser: Any, app: Flask, staff: Any) -> None:
    """No page of users tells what could sign somebody in."""
    for path in ("", f"/change?key={staff.id}", f"/delete?key={staff.id}"):
        text = browser.open(f"/admin/users{path}").text
        assert staff.email in text
        assert staff.password not in text
        assert str(staff.links_since) not in text
    assert not {"sign_ins", "passkeys", "recovery_codes", "attempts"} & app.extensions["admin"].keys()


def test_to_delete_oneself(browser: Any, db: Any, staff: Any, changes: Any) -> None:
    browser.open(f"/admin/users/delete?key={staff.id}")
    browser.send()
    assert browser.page.h1.text == "Sign in"
    assert [(one["action"], one["user"]) for one in changes] == [("delete", staff.id)]
