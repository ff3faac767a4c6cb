"""One's own account: the address, devices, and the second factor."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pyotp
import pytest
from flask import Flask

NEW = "a password for today"


def test_change_password(browser: Any, user: Any, sign_in: Any, app: Flask, outbox: Any) -> None:
    """Other browsers are signed out, and this one is not."""
    other = type(browser)(app.test_client())
    sign_in(user, other.client)
    sign_in(user)
    browser.open("/account/password")
    browser.send(password=NEW)
    assert browser.page.select_one(".flash").text.startswith("Your password is changed.")
    assert outbox[-1]["To"] == user.email
    other.open("/account")
    assert other.page.h1.text == "Sign in"
    browser.open("/account")
    assert browser.page.h1.text == "Account"


@pytest.mark.parametrize("path", ["password", "address", "second-factor", "second-factor/remove", "passkeys/x/remove"])
def test_what_asks_again(browser: Any, user: Any, sign_in: Any, accounts: Any, password: str, path: str) -> None:
    sign_in(user, confirmed=accounts.now() - 2 * accounts.RECENT)
    browser.open(f"/account/{path}")
    assert browser.page.h1.text == "Confirm that it is you"
    assert browser.send(password="wrong").status_code == 422
    browser.send(password=password)
    assert browser.address == f"/account/{path}?"


def test_change_address(browser: Any, user: Any, sign_in: Any, outbox: Any, db: Any, link: Callable[[], str]) -> None:
    sign_in(user)
    browser.open("/account/address")
    browser.send(email="Countess@example.com")
    assert outbox[-1]["To"] == "countess@example.com"
    target = link()
    browser.open(target)
    db.refresh(user)
    assert user.email == "ada@example.com"
    browser.send()
    db.refresh(user)
    assert user.email == "countess@example.com"
    assert outbox[-1]["To"] == "ada@example.com"
    assert browser.open(target).status_code == 404


def test_an_address_is_taken_back(
    browser: Any, user: Any, sign_in: Any, db: Any, link: Callable[[], str], app: Flask, outbox: Any
) -> None:
    """By who reads the mail to the old address, though somebody else has changed the password since."""
    sign_in(user)
    browser.open("/account/address")
    browser.send(email="mallory@example.com")
    browser.open(link())
    browser.send()
    assert outbox[-1]["To"] == "ada@example.com"
    target = link()
    browser.open("/account/password")
    browser.send(password=NEW)
    owner = type(browser)(app.test_client())
    owner.open(target)
    assert "ada@example.com" in owner.page.text
    owner.send()
    assert owner.page.h1.text == "Reset your password"
    db.refresh(user)
    assert user.email == "ada@example.com"
    browser.open("/account")
    assert browser.page.h1.text == "Sign in"
    assert owner.open(target).status_code == 404


def test_an_address_is_confirmed_by_who_has_asked(
    browser: Any, user: Any, staff: Any, sign_in: Any, db: Any, link: Callable[[], str], app: Flask
) -> None:
    sign_in(user)
    browser.open("/account/address")
    browser.send(email="victim@example.com")
    target = link()
    victim = type(browser)(app.test_client())
    victim.open(target)
    assert victim.page.h1.text == "Sign in"
    sign_in(staff, victim.client)
    assert victim.open(target).status_code == 404
    db.refresh(user)
    assert user.email == "ada@example.com"


def test_an_address_of_somebody_else(
    browser: Any, user: Any, staff: Any, sign_in: Any, db: Any, link: Callable[[], str], outbox: Any
) -> None:
    sign_in(user)
    browser.open("/account/address")
    browser.send(email=staff.email)
    browser.open(link())
    before = len(outbox)
    assert browser.send().status_code == 409
    db.refresh(user)
    assert user.email == "ada@example.com"
    assert len(outbox) == before


def test_devices(browser: Any, user: Any, staff: Any, sign_in: Any, app: Flask) -> None:
    phone, *_ = (sign_in(user, app.test_client(), device=device) for device in ("Phone", "Tablet"))
    foreign = sign_in(staff, app.test_client(), device="Foreign")
    sign_in(user, device="<script>alert(1)</script>")
    browser.open("/account")
    assert "<script>alert(1)" in browser.page.text
    assert "Foreign" not in browser.page.text
    browser.send(f"form[action$='{phone.id}']")
    assert len(browser.page.select("form[action*=devices]")) == 2
    token = browser.page.select_one("[name=csrf_token]")["value"]
    browser.open(f"/account/devices/{foreign.id}", method="POST", data={"csrf_token": token})
    stranger = app.test_client()
    browser.send("form[action$=others]")
    assert browser.page.select("form[action*=devices]") == []
    assert stranger.get("/account").status_code == 401


def test_the_device_of_somebody_else_stays(browser: Any, user: Any, staff: Any, sign_in: Any, app: Flask) -> None:
    other = app.test_client()
    row = sign_in(staff, other)
    sign_in(user)
    browser.open("/account")
    token = browser.page.select_one("[name=csrf_token]")["value"]
    browser.open(f"/account/devices/{row.id}", method="POST", data={"csrf_token": token})
    assert other.get("/account").status_code == 200


@pytest.fixture
def secret(browser: Any, user: Any, sign_in: Any) -> str:
    """The secret of a second factor, which the user has added."""
    sign_in(user)
    browser.open("/account/second-factor")
    secret = str(browser.page.select_one("code").text)
    assert browser.page.select_one("svg")
    assert browser.send(code="000000").status_code == 422
    browser.send(code=pyotp.TOTP(secret).now())
    return secret


def test_second_factor(
    browser: Any, user: Any, secret: str, password: str, db: Any, accounts: ModuleType, throttle: ModuleType, app: Flask
) -> None:
    codes = [code.text for code in browser.page.select("code")]
    assert len(set(codes)) == 10
    browser = type(browser)(app.test_client())

    def enter(code: str) -> int:
        browser.client.delete_cookie(app.config["SESSION_COOKIE_NAME"])
        browser.open("/accounts/sign-in")
        browser.send(email=user.email, password=password)
        assert browser.page.h1.text == "Second factor"
        assert browser.client.get("/account").status_code == 401
        return int(browser.send(code=code).status_code)

    db.refresh(user)
    assert enter(pyotp.TOTP(secret).at(user.totp_step * 30)) == 422  # It was used to add the factor.
    user.totp_step = 0
    db.commit()
    assert enter(pyotp.TOTP(secret).now()) == 200
    assert enter(codes[0].upper()) == 200
    assert enter(codes[0]) == 422
    for wrong in ("", "x" * 500, "ü", "a\0b", "١٢٣٤٥٦"):
        assert enter(wrong) == 422
    for _ in range(8):
        enter("000000")
    assert enter(codes[1]) == 429
    db.query(throttle.Attempt).delete()
    db.commit()
    assert enter(codes[1]) == 200
    browser.open("/account/second-factor/remove")
    browser.send()
    assert db.query(accounts.RecoveryCode).count() == 0
    browser.client.delete_cookie(app.config["SESSION_COOKIE_NAME"])
    browser.open("/accounts/sign-in")
    browser.send(email=user.email, password=password)
    assert browser.page.h1.text == "Account"


def test_a_new_password_needs_the_second_factor_too(
    browser: Any, user: Any, secret: str, link: Callable[[], str], app: Flask
) -> None:
    browser = type(browser)(app.test_client())
    browser.open("/accounts/reset")
    browser.send(email=user.email)
    browser.open(link())
    browser.send(password=NEW)
    assert browser.page.h1.text == "Second factor"
    browser.open("/account")
    assert browser.page.h1.text == "Sign in"
    assert secret not in browser.page.text
