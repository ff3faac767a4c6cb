"""To sign up, in and out, in a browser without JavaScript."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

NEW = "a password for today"


def name_of(app: Flask) -> str:
    return str(app.config["SESSION_COOKIE_NAME"])


def cookie(client: Any) -> str:
    return str(client.get_cookie(name_of(client.application)).value)


#: In a header, this is the address evil@evil.example.
ENCODED = "=?utf-8?q?evil=40evil.example=20?=x@example.com"
NUL_AND_LONG = ["a\0b@example.com", "x" * 500_000, ""]


def test_sign_up(browser: Any, link: Callable[[], str], outbox: Any, db: Any, accounts: ModuleType) -> None:
    browser.open("/accounts/sign-up")
    assert browser.send(email=" Ada@Example.com ").status_code == 200
    assert browser.page.select_one(".flash").text == "A mail with a link is on its way to you."
    assert outbox[-1]["To"] == "ada@example.com"
    browser.open(link())
    assert "ada@example.com" in browser.page.text
    browser.send(password=NEW)
    assert browser.page.h1.text == "Account"
    assert browser.page.select_one(".flash").text == "Welcome."
    (user,) = db.query(accounts.User)
    assert (user.email, user.staff) == ("ada@example.com", False)
    assert NEW not in user.password


@pytest.mark.usefixtures("db")
def test_a_link_works_once(browser: Any, link: Callable[[], str]) -> None:
    browser.open("/accounts/sign-up")
    browser.send(email="ada@example.com")
    first = link()
    browser.open("/accounts/reset")
    browser.send(email="ada@example.com")
    browser.open(link())
    browser.send(password=NEW)
    for used in (first, link()):
        assert browser.open(used).status_code == 404


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("token", ["", "x", "\0", "x" * 10_000, "W10.aaaa.bbbb"])
def test_a_link_that_was_not_made_here(browser: Any, token: str) -> None:
    for path in ("/accounts/password", "/account/address/restore"):
        assert browser.open(path, query_string={"token": token}).status_code == 404


def test_a_link_for_one_page_is_none_for_another(browser: Any, user: Any, link: Callable[[], str]) -> None:
    browser.open("/accounts/reset")
    browser.send(email=user.email)
    _, _, token = link().partition("?")
    assert browser.open(f"/account/address/restore?{token}").status_code == 404


def test_reset(
    browser: Any, user: Any, sign_in: Any, link: Callable[[], str], app: Flask, db: Any, outbox: Any
) -> None:
    """All devices are signed out, and the old password is none."""
    thief = app.test_client()
    sign_in(user, thief)
    browser.open("/accounts/reset")
    browser.send(email=user.email)
    browser.open(link())
    browser.send(password=NEW)
    assert browser.page.select_one(".flash").text.startswith("Your password is changed")
    assert "The password was changed." in outbox[-1].get_content()
    assert thief.get("/account", headers={"Accept": "text/html"}).status_code == 302
    browser.client.delete_cookie(name_of(app))
    browser.open("/accounts/sign-in")
    assert browser.send(email=user.email, password="correct horse battery").status_code == 422
    browser.send(email=user.email, password=NEW)
    assert browser.page.h1.text == "Account"


def test_known_and_unknown_are_answered_alike(browser: Any, user: Any, html: Callable[[str], Any], outbox: Any) -> None:
    """The same page, and the same mail, in the request."""
    told = []
    for email in (user.email, "nobody@example.com"):
        for path in ("/accounts/sign-up", "/accounts/reset"):
            browser.open(path)
            browser.send(email=email)
            for token in browser.page.select("[name=csrf_token], [data-token]"):
                token.decompose()
            told.append((path, html(str(browser.page.main)), len(outbox[-1].get_content().splitlines())))
            assert outbox[-1]["To"] == email
        browser.open("/accounts/sign-in")
        browser.send(email=email, password="wrong")
        told.append(("sign-in", browser.page.select_one("[role=alert]").text, browser.page.h1.text))
    assert told[:3] == told[3:]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("path", ["/accounts/sign-up", "/accounts/reset", "/accounts/sign-in"])
@pytest.mark.parametrize(
    "email", [*NUL_AND_LONG, "ada", "ada@", "ada@example.com\nBcc: x@example.com", "ädä@example.com", ENCODED]
)
def test_no_address(browser: Any, outbox: Any, path: str, email: str) -> None:
    browser.open(path)
    more = {"password": "x"} if path.endswith("sign-in") else {}
    assert browser.send(email=email, **more).status_code == 422
    assert browser.page.select_one("#email-about").text
    assert outbox == []


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("wrong", ["", "short", "x" * 201, "x" * 500_000, "a\0bcdefghijklmnop"])
def test_no_password(browser: Any, link: Callable[[], str], wrong: str) -> None:
    browser.open("/accounts/sign-up")
    browser.send(email="ada@example.com")
    browser.open(link())
    assert browser.send(password=wrong).status_code == 422
    assert browser.page.select_one("#password-about").text


def test_sign_in(browser: Any, user: Any, password: str) -> None:
    browser.open("/account")
    assert browser.page.h1.text == "Sign in"
    browser.send(email="ADA@example.com", password=password)
    assert browser.page.h1.text == "Account"
    browser.send("form[action$=sign-out]")
    assert browser.page.select_one(".flash").text == "You are signed out."
    browser.open("/account")
    assert browser.page.h1.text == "Sign in"


def test_what_was_before_a_sign_in_is_gone(browser: Any, user: Any, password: str) -> None:
    """A session that somebody else has begun is not that of who signs in."""
    browser.open("/accounts/sign-in")
    with browser.client.session_transaction() as session:
        session["planted"] = "by another"
    before = cookie(browser.client)
    browser.send(email=user.email, password=password)
    with browser.client.session_transaction() as session:
        assert "planted" not in session
    assert cookie(browser.client) != before


def test_a_stolen_cookie_is_worth_nothing_after_sign_out(browser: Any, user: Any, password: str, app: Flask) -> None:
    browser.open("/accounts/sign-in")
    browser.send(email=user.email, password=password)
    thief = type(browser)(app.test_client())
    thief.client.set_cookie(name_of(app), cookie(browser.client))
    thief.open("/account")
    assert thief.page.h1.text == "Account"
    browser.send("form[action$=sign-out]")
    thief.open("/account")
    assert thief.page.h1.text == "Sign in"


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "http:evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/%5cevil.example\\",
        "\x00/",
        "//[",
        "data:text/html,x",
        " //evil.example",
    ],
)
def test_no_way_to_another_site(browser: Any, user: Any, password: str, target: str) -> None:
    browser.open("/accounts/sign-in", query_string={"next": target})
    form = browser.page.select_one("form[method=post]")
    values = {str(field["name"]): field.get("value", "") for field in form.select("[name]")}
    values |= {"email": user.email, "password": password}
    answer = browser.client.post("/accounts/sign-in", query_string={"next": target}, data=values)
    assert (answer.status_code, answer.location) == (303, "/account")


def test_on_to_where_one_wanted(browser: Any, user: Any, password: str) -> None:
    browser.open("/account/password?x=1")
    browser.send(email=user.email, password=password)
    assert (browser.page.h1.text, browser.address) == ("Change your password", "/account/password?x=1")


@pytest.mark.usefixtures("db")
def test_programs_are_told_401(client: Any) -> None:
    assert client.get("/account").status_code == 401
    assert client.post("/account/devices/others").status_code == 401


def test_remember_me(app: Flask, browser: Any, user: Any, password: str) -> None:
    for values, permanent in (({}, False), ({"remember": "y"}, True)):
        browser.client.delete_cookie(name_of(app))
        browser.open("/accounts/sign-in")
        form = {"email": user.email, "password": password, **values}
        form["csrf_token"] = browser.page.select_one("[name=csrf_token]")["value"]
        answer = browser.client.post("/accounts/sign-in", data=form)
        assert ("Expires=" in answer.headers["Set-Cookie"]) is permanent


@pytest.mark.parametrize("values", [{"remember": False}, {"remember": True}])
def test_an_idle_device(browser: Any, user: Any, sign_in: Any, accounts: Any, db: Any, values: Any) -> None:
    row = sign_in(user, **values)
    browser.open("/account")
    assert browser.page.h1.text == "Account"
    for idle, lives in (
        (accounts.IDLE / 2, True),
        ((accounts.IDLE + accounts.REMEMBERED_IDLE) / 2, values["remember"]),
        (2 * accounts.REMEMBERED_IDLE, False),
    ):
        row.seen = accounts.now() - idle
        db.commit()
        browser.open("/account")
        assert (browser.page.h1.text == "Account") is lives
    row.seen, row.created = accounts.now(), accounts.now() - 2 * accounts.LIFETIME
    db.commit()
    browser.open("/account")
    assert browser.page.h1.text == "Sign in"


def test_throttled(browser: Any, user: Any, password: str, app: Flask) -> None:
    """By account, in every process; the right password does not help."""
    for number in range(11):
        other = type(browser)(app.test_client())
        other.open("/accounts/sign-in")
        status = other.send(email=user.email, password="wrong").status_code
        assert status == (429 if number == 10 else 422)
    browser.open("/accounts/sign-in")
    assert browser.send(email=user.email, password=password).status_code == 429
    browser.open("/accounts/sign-in")
    assert browser.send(email="nobody@example.com", password=password).status_code == 422


@pytest.mark.usefixtures("db")
def test_throttled_by_network(app: Flask, browser: Any, throttle: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "NETWORK", 3)
    for number in range(4):
        browser.open("/accounts/reset")
        assert browser.send(email=f"{number}@example.com").status_code == (429 if number == 3 else 200)
    browser.open("/accounts/reset")
    away = {"REMOTE_ADDR": "192.0.2.7"}
    token = browser.page.select_one("[name=csrf_token]")["value"]
    data = {"email": "x@example.com", "csrf_token": token}
    assert app.test_client().post("/accounts/reset", data=data, environ_base=away).status_code == 422  # no session
    assert browser.client.post("/accounts/reset", data=data, environ_base=away).status_code == 303


def test_who_gets_in_is_forgiven(browser: Any, user: Any, password: str) -> None:
    for _ in range(3):
        for _ in range(5):
            browser.open("/accounts/sign-in")
            browser.send(email=user.email, password="wrong")
        browser.send(email=user.email, password=password)
        assert browser.page.h1.text == "Account"
        browser.send("form[action$=sign-out]")


@pytest.mark.parametrize("path", ["sign-up", "reset", "sign-in", "sign-out", "confirm", "second-factor"])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_no_form_of_another_site(
    browser: Any, user: Any, sign_in: Any, path: str, kind: str, outbox: Any, db: Any
) -> None:
    sign_in(user)
    data = "email=ada@example.com&password=correct horse battery"
    answer = browser.client.post(f"/accounts/{path}", data=data, content_type=kind)
    assert answer.status_code in (400, 422)
    browser.open("/account")
    assert browser.page.h1.text == "Account"
    assert outbox == []


@pytest.mark.usefixtures("db")
def test_nobody_is_signed_in_by_a_form_of_another_site(client: Any, user: Any, password: str) -> None:
    """Without a cookie either: they would go on as somebody else."""
    answer = client.post("/accounts/sign-in", data={"email": user.email, "password": password})
    assert answer.status_code == 422
    assert client.get("/account").status_code == 401


def test_fields_that_the_form_does_not_have(
    browser: Any, link: Callable[[], str], db: Any, accounts: ModuleType
) -> None:
    browser.open("/accounts/sign-up")
    browser.send(email="ada@example.com")
    browser.open(link())
    token = browser.page.select_one("[name=csrf_token]")["value"]
    data = {"password": NEW, "csrf_token": token, "staff": "y", "email": "eve@example.com", "id": "1"}
    assert browser.client.post(link(), data=data).status_code == 303
    (user,) = db.query(accounts.User)
    assert (user.email, user.staff) == ("ada@example.com", False)


def test_links_are_of_the_site_whatever_the_request_says(browser: Any, user: Any, outbox: Any) -> None:
    browser.open("/accounts/reset", base_url="http://evil.example")
    browser.send(email=user.email)
    browser.open("/accounts/reset", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    token = browser.page.select_one("[name=csrf_token]")["value"]
    browser.client.post(
        "/accounts/reset",
        data={"email": user.email, "csrf_token": token},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )
    assert "evil" not in outbox[-1].get_content()
    assert "https://www.example.com/accounts/password?token=" in outbox[-1].get_content()


def test_a_new_key_signs_nobody_out(
    make_app: Callable[..., Flask], user: Any, sign_in: Any, link: Callable[[], str], outbox: Any
) -> None:
    old, new = "first " * 8, "second " * 8
    before = make_app(SECRET_KEY=old)
    client = before.test_client()
    sign_in(user, client)
    after = make_app(SECRET_KEY=new, SECRET_KEY_FALLBACKS=old)
    stolen = cookie(client)
    for app, status in ((after, 200), (make_app(SECRET_KEY=new), 401)):
        other = app.test_client()
        other.set_cookie(name_of(app), stolen)
        assert other.get("/account").status_code == status


def test_cookies(make_app: Callable[..., Flask]) -> None:
    live = make_app(SESSION_COOKIE_SECURE=True)  # as in production
    answer = live.test_client().get("/accounts/sign-in", base_url="https://www.example.com")
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    assert name == f"__Host-{live.name}_session"
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(rest.split("; "))


@pytest.mark.parametrize("site", ["http://www.example.com", "www.example.com", "https://www.example.com/shop", ""])
def test_production_needs_its_address(make_app: Callable[..., Flask], site: str) -> None:
    with pytest.raises(Exception, match="SITE_URL: Set it to where people find this site"):
        make_app(APP_ENV="production", SITE_URL=site)


@pytest.mark.usefixtures("db")
def test_a_page_without_a_cookie_varies_by_none(client: Any, app: Flask) -> None:
    answer = client.get("/livez")
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert "Set-Cookie" not in answer.headers


def test_staff(app: Flask, user: Any, db: Any, runner: Any) -> None:
    assert runner.invoke(args=["accounts", "staff", "nobody@example.com"]).exit_code == 1
    for options, expected in (([], True), (["--remove"], False)):
        assert runner.invoke(args=["accounts", "staff", "ADA@example.com", *options]).exit_code == 0
        db.refresh(user)
        assert user.staff is expected


def test_staff_required(app: Flask, user: Any, staff: Any, sign_in: Any, accounts: ModuleType) -> None:
    app.add_url_rule("/secret", view_func=accounts.staff_required(lambda: f"for {accounts.current_user.email}"))
    for person, status in ((None, 401), (user, 403), (staff, 200)):
        client = app.test_client()
        if person:
            sign_in(person, client)
        assert client.get("/secret").status_code == status


def test_a_reset_takes_passkeys_away(browser: Any, user: Any, create: Any, link: Callable[[], str], db: Any) -> None:
    """Somebody else may have added one."""
    create(type(user).passkeys.property.mapper.class_, id="x", user_id=user.id)
    browser.open("/accounts/reset")
    browser.send(email=user.email)
    browser.open(link())
    browser.send(password=NEW)
    assert "None." in browser.page.select_one("h2 + ul").text
    db.refresh(user)
    assert user.passkeys == []


def test_a_stranger_keeps_nobody_out(browser: Any, user: Any, password: str) -> None:
    """Tries of another network count apart; and a client has many addresses of IPv6."""
    for number in range(12):
        stranger = {"REMOTE_ADDR": f"2001:db8::{number:x}"}
        browser.open("/accounts/sign-in", environ_base=stranger)
        token = browser.page.select_one("[name=csrf_token]")["value"]
        data = {"email": user.email, "password": "wrong", "csrf_token": token}
        answer = browser.client.post("/accounts/sign-in", data=data, environ_base=stranger)
        assert answer.status_code == (429 if number > 9 else 422)
        assert answer.headers.get("Retry-After") == ("900" if number > 9 else None)
    browser.open("/accounts/sign-in")
    browser.send(email=user.email, password=password)
    assert browser.page.h1.text == "Account"


def test_networks(app: Flask, throttle: ModuleType) -> None:
    """An address of IPv4 is itself, also as a socket of IPv6 writes it."""
    told = {"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "": ""}
    for address, network in told.items():
        with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
            assert throttle.network() == network


def test_to_be_seen_commits_nothing_of_a_view(
    app: Flask, user: Any, sign_in: Any, db: Any, accounts: ModuleType
) -> None:
    """It is noted when somebody was seen, in a transaction of its own."""

    @app.get("/changes")
    def changes() -> str:
        row = accounts.db.session.get(accounts.User, user.id)
        row.staff = True
        return str(accounts.current_user.email)

    @app.get("/reads")
    def reads() -> str:
        return str(accounts.current_user.email)

    client, old = app.test_client(), datetime.now(UTC) - timedelta(minutes=10)
    row = sign_in(user, client, seen=old)
    for path, seen_anew in (("/changes", False), ("/reads", True)):
        assert client.get(path).text == user.email
        db.refresh(user)
        db.refresh(row)
        assert not user.staff
        assert (row.seen > old + timedelta(minutes=5)) is seen_anew


def test_who_signs_in_again_leaves_no_sign_in_behind(browser: Any, user: Any, password: str, app: Flask) -> None:
    browser.open("/accounts/sign-in")
    browser.send(email=user.email, password=password)
    thief = app.test_client()
    thief.set_cookie(name_of(app), cookie(browser.client))
    browser.open("/accounts/sign-in")
    browser.send(email=user.email, password=password)
    assert thief.get("/account").status_code == 401


@pytest.mark.parametrize("key", ["short", f"{'long enough ' * 3},short"])
def test_keys_of_before_are_as_strong(make_app: Callable[..., Flask], key: str) -> None:
    with pytest.raises(Exception, match="SECRET_KEY_FALLBACKS: Each must have been"):
        make_app(APP_ENV="production", SECRET_KEY_FALLBACKS=key)


def test_keys_of_before_are_in_no_log(make_app: Callable[..., Flask], capfd: pytest.CaptureFixture[str]) -> None:
    app = make_app(SECRET_KEY_FALLBACKS="planted-fallback-key-of-before-00")
    app.logger.warning("the key is planted-fallback-key-of-before-00")
    assert "planted" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("given", "site"),
    [
        ("https://Shop.Example:443/", "https://shop.example"),
        ("https://shop.example", "https://shop.example"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("https://[2001:db8::443]", "https://[2001:db8::443]"),
    ],
)
def test_the_site_is_written_as_browsers_do(make_app: Callable[..., Flask], given: str, site: str) -> None:
    assert make_app(SITE_URL=given).config["SITE_URL"] == site


def test_a_lost_second_factor(user: Any, db: Any, runner: Any) -> None:
    user.totp_secret = "A" * 32
    db.commit()
    assert runner.invoke(args=["accounts", "remove-second-factor", user.email]).exit_code == 0
    db.refresh(user)
    assert user.totp_secret is None


def test_no_browser_keeps_a_page(client: Any, user: Any, sign_in: Any) -> None:
    sign_in(user)
    for path in ("/account", "/accounts/sign-in", "/account/password"):
        assert client.get(path).headers["Cache-Control"] == "no-store"
