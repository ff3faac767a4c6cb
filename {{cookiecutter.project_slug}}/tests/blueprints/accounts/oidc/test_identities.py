"""Accounts of people who sign in at the provider."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

HTML = {"Accept": "text/html"}


@pytest.fixture
def identities(package: ModuleType) -> ModuleType:
    return import_module(".blueprints.accounts.oidc", package.__name__)


@pytest.fixture
def app(make_app: Callable[..., Flask], known_site: dict[str, str]) -> Flask:
    return make_app(**known_site)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser, which has no token."""
    return app.test_client()


@pytest.fixture
def arrive(browser: Any, provider: Any) -> Callable[..., Any]:
    """Sign in at the provider as somebody, and follow where that leads."""

    def arrive(path: str = "/oidc/sign-in", sub: str = "ada", email: str = "ada@example.com", **claims: Any) -> Any:
        provider.person = {"sub": sub, "email": email, "email_verified": claims.pop("email_verified", True)}
        response = browser.client.get(path)
        sought = {name: values[0] for name, values in parse_qs(urlsplit(response.location).query).items()}
        provider.nonce, provider.wrong = sought["nonce"], claims
        return browser.open("/oidc/callback", query_string={"state": sought["state"], "code": "x"})

    return arrive


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def test_a_new_user(arrive: Callable[..., Any], browser: Any, db: Any, accounts: ModuleType, identities: Any) -> None:
    assert arrive(email="Ada@Example.com").status_code == 200
    assert browser.page.h1.text == "Account"
    (user,), (identity,) = db.query(accounts.User), db.query(identities.Identity)
    assert (user.email, user.password, user.staff) == ("ada@example.com", "", False)
    assert identity.user_id == user.id
    browser.open("/account/identities")
    assert "Ada@Example.com" in browser.page.main.text


def test_no_password_opens_it(arrive: Callable[..., Any], browser: Any, app: Flask, db: Any) -> None:
    arrive()
    browser.client = app.test_client()
    for password in ("", " ", "x"):
        browser.open("/accounts/sign-in")
        assert browser.send(email="ada@example.com", password=password).status_code == 422


def test_the_same_identity_is_the_same_user(
    arrive: Callable[..., Any], app: Flask, browser: Any, db: Any, accounts: ModuleType
) -> None:
    """Whatever its address has become."""
    arrive()
    browser.client = app.test_client()
    arrive(email="lovelace@example.com")
    assert browser.page.h1.text == "Account"
    (user,) = db.query(accounts.User)
    assert user.email == "ada@example.com"
    assert db.query(accounts.SignIn).count() == 2


def test_another_provider_is_another_identity(identities: Any) -> None:
    assert identities.key_of("https://one.example", "ada") != identities.key_of("https://two.example", "ada")
    assert identities.key_of("https://one.example/a", "da") != identities.key_of("https://one.example/", "ada")


@pytest.mark.parametrize(
    "claims",
    [{}, {"email_verified": False, "email": "new@example.com"}, {"email": ""}, {"email": "ADA@example.com"}],
)
def test_no_account_is_taken_over(
    arrive: Callable[..., Any], browser: Any, user: Any, db: Any, identities: Any, accounts: Any, claims: dict[str, Any]
) -> None:
    """Of an address that has an account, or is not verified, nobody is signed in."""
    arrive(**claims)
    assert browser.page.h1.text == "Sign in"
    assert browser.page.select_one(".flash").text.startswith("Sign in as usual, or sign up, and link")
    assert (db.query(identities.Identity).count(), db.query(accounts.SignIn).count()) == (0, 0)
    assert db.query(accounts.User).count() == 1
    assert browser.client.get("/account", headers=HTML).status_code == 302


def test_link(
    arrive: Callable[..., Any], browser: Any, user: Any, sign_in: Any, app: Flask, db: Any, outbox: Any, identities: Any
) -> None:
    sign_in(user)
    arrive("/oidc/sign-in?next=/account/identities", sub="lovelace", email="lovelace@example.com")
    assert browser.page.h1.text == "Link this identity?"
    assert "lovelace@example.com" in browser.page.main.text
    assert db.query(identities.Identity).count() == 0
    browser.send()
    assert browser.page.select_one(".flash").text == "The identity is linked."
    assert "An identity was linked." in outbox[-1].get_content()
    browser.client = app.test_client()
    arrive(sub="lovelace", email="lovelace@example.com")
    assert browser.page.h1.text == "Account"
    assert user.email in browser.page.main.text


def test_nobody_is_linked_without_a_word(
    arrive: Callable[..., Any], browser: Any, user: Any, sign_in: Any, db: Any, identities: Any
) -> None:
    """Whoever sits there may have been led to the provider by somebody else."""
    sign_in(user)
    arrive(sub="eve", email="eve@example.com")
    assert browser.client.post("/account/identities/link").status_code in (400, 422)
    browser.open("/account/identities/link")
    with browser.client.session_transaction() as session:
        session["identity"] = [*session["identity"][:3], now() - 1000]
    browser.send()
    assert browser.page.h1.text == "Identities"
    assert db.query(identities.Identity).count() == 0


def test_to_link_asks_for_a_recent_sign_in(
    arrive: Callable[..., Any], browser: Any, user: Any, sign_in: Any, accounts: Any, password: str
) -> None:
    sign_in(user, confirmed=accounts.now() - 2 * accounts.RECENT)
    arrive(sub="lovelace")
    assert browser.page.h1.text == "Confirm that it is you"
    browser.send(password=password)
    assert browser.page.h1.text == "Link this identity?"


def test_an_identity_has_one_account(
    arrive: Callable[..., Any], browser: Any, user: Any, sign_in: Any, make_user: Any, app: Flask
) -> None:
    sign_in(user)
    arrive(sub="lovelace")
    other = app.test_client()
    sign_in(make_user("grace@example.com"), other)
    first, browser.client = browser.client, other
    arrive(sub="lovelace")
    browser.send()
    browser.client = first
    browser.open("/account/identities/link")
    assert browser.send().status_code == 409


def test_remove(arrive: Callable[..., Any], browser: Any, db: Any, identities: Any, make_user: Any, app: Flask) -> None:
    arrive(auth_time=now())
    (identity,) = db.query(identities.Identity)
    browser.open(f"/account/identities/{identity.id}/remove")
    page, browser.client = browser.page, app.test_client()
    arrive(sub="eve", email="eve@example.com", auth_time=now())
    assert browser.open(f"/account/identities/{identity.id}/remove").status_code == 404
    browser.client, browser.page = browser.client, page
    arrive(auth_time=now())
    browser.open(f"/account/identities/{identity.id}/remove")
    browser.send()
    assert browser.page.select_one(".flash").text == "The identity is removed."
    assert [found.name for found in db.query(identities.Identity)] == ["eve@example.com"]


def test_who_takes_an_account_back_has_no_identity_of_somebody_else(
    arrive: Callable[..., Any], browser: Any, user: Any, sign_in: Any, db: Any, outbox: Any, identities: Any
) -> None:
    sign_in(user)
    arrive(sub="eve", email="eve@example.com")
    browser.send()
    assert db.query(identities.Identity).count() == 1
    browser.open("/accounts/reset")
    browser.send(email=user.email)
    (url,) = re.findall(r"https://www\.example\.com(\S+)", outbox[-1].get_content())
    browser.open(url)
    browser.send(password="a password for today")
    assert browser.page.h1.text == "Account"
    assert db.query(identities.Identity).count() == 0


@pytest.mark.parametrize("email", ["", "ada", "ädä@example.com", "a\0da@example.com"])
def test_an_address_to_which_no_mail_can_go(
    arrive: Callable[..., Any], browser: Any, db: Any, accounts: ModuleType, email: str
) -> None:
    arrive(email=email)
    assert "link this identity" in browser.page.select_one(".flash").text
    assert db.query(accounts.User).count() == 0


@pytest.mark.parametrize(
    ("age", "title"),
    [
        *((age, "Confirm that it is you") for age in (None, 86_400, -86_400, -(10**12), -(10**30), 10**12)),
        (60, "Change your password"),
    ],
)
def test_what_matters_needs_a_proof(
    arrive: Callable[..., Any], browser: Any, db: Any, age: int | None, title: str
) -> None:
    """That the provider knows a device says not who sits there."""
    arrive(**({} if age is None else {"auth_time": now() - age}))
    browser.open("/account/password")
    assert browser.page.h1.text == title


def test_to_confirm_at_the_provider(arrive: Callable[..., Any], browser: Any, db: Any, provider: Any) -> None:
    arrive()
    browser.open("/account/password")
    (link,) = browser.page.main.select("a")
    assert browser.page.h1.text == "Confirm that it is you"
    assert "again=1" in link["href"]
    arrive(link["href"], auth_time=now())
    assert browser.page.h1.text == "Change your password"


def test_the_second_factor_is_asked_for(
    arrive: Callable[..., Any], browser: Any, db: Any, accounts: ModuleType, app: Flask
) -> None:
    arrive()
    (user,) = db.query(accounts.User)
    user.totp_secret = "A" * 32
    db.commit()
    browser.client = app.test_client()
    arrive("/oidc/sign-in?next=/account/identities")
    assert browser.page.h1.text == "Second factor"
    assert browser.address == "/accounts/second-factor?next=/account/identities"
    assert browser.client.get("/account", headers=HTML).status_code == 302


def test_sign_out(arrive: Callable[..., Any], browser: Any, db: Any, accounts: ModuleType) -> None:
    arrive()
    browser.open("/oidc/sign-out")
    browser.send()
    assert db.query(accounts.SignIn).count() == 0
    assert browser.page.main.a["href"].endswith("post_logout_redirect_uri=http%3A%2F%2Flocalhost%2Foidc%2Fsigned-out")


@pytest.mark.usefixtures("db")
def test_the_page_to_sign_in_has_a_link(browser: Any) -> None:
    browser.open("/accounts/sign-in?next=/account/identities")
    assert "/oidc/sign-in?next=/account/identities" in [link["href"] for link in browser.page.main.select("a")]


@pytest.mark.usefixtures("db")
def test_no_link_to_a_provider_that_does_not_know_this_site(make_app: Callable[..., Flask], browser: Any) -> None:
    settings = {"OIDC_ISSUER": "https://id.example.com", "OIDC_AUDIENCE": "https://api.example.com"}
    browser.client = make_app(**settings).test_client()
    browser.open("/accounts/sign-in")
    assert not [link for link in browser.page.main.select("a") if "oidc" in link["href"]]


@pytest.mark.usefixtures("db")
def test_development(make_app: Callable[..., Flask], browser: Any) -> None:
    browser.client = make_app().test_client()
    browser.open("/oidc/sign-in")
    browser.send(subject="grace", email="grace@example.com")
    assert browser.page.h1.text == "Account"
    assert "grace@example.com" in browser.page.main.text
