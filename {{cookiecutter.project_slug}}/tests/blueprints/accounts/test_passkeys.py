"""Passkeys, with a device that is written here. The template itself tries them in a browser."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from webauthn.helpers import bytes_to_base64url, encode_cbor

PRESENT, VERIFIED, NEW = 0x01, 0x04, 0x40


class Device:
    """An authenticator: a key for this site, and what it says when it is asked. https://www.w3.org/TR/webauthn-3/"""

    def __init__(self, site: str = "https://www.example.com", flags: int = PRESENT | VERIFIED) -> None:
        self.site, self.flags, self.count = site, flags, 0
        self.key, self.id = ec.generate_private_key(ec.SECP256R1()), b"a credential"

    def said(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.site}).encode()

    def data(self, flags: int, more: bytes = b"") -> bytes:
        self.count += 1
        host = self.site.removeprefix("https://").encode()
        return sha256(host).digest() + bytes([self.flags | flags]) + self.count.to_bytes(4, "big") + more

    def make(self, options: Any) -> dict[str, Any]:
        """Answer the offer of a passkey."""
        point = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        more = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + encode_cbor(public)
        attestation = encode_cbor({"fmt": "none", "attStmt": {}, "authData": self.data(NEW, more)})
        return self.answer(self.said("create", options["challenge"]), attestationObject=attestation)

    def use(self, options: Any) -> dict[str, Any]:
        """Answer a challenge."""
        said, data = self.said("get", options["challenge"]), self.data(0)
        signature = self.key.sign(data + sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return self.answer(said, authenticatorData=data, signature=signature)

    def answer(self, said: bytes, **rest: bytes) -> dict[str, Any]:
        parts = {"clientDataJSON": said, **rest}
        response = {name: bytes_to_base64url(value) for name, value in parts.items()}
        name = bytes_to_base64url(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}


@pytest.fixture
def post(browser: Any) -> Callable[..., Any]:
    """Send JSON as the script of the page does."""

    def post(path: str, body: Any = None) -> Any:
        token = browser.page.select_one("[data-token]")["data-token"]
        return browser.client.post(f"/account/passkeys{path}", json=body or {}, headers={"X-CSRFToken": token})

    return post


@pytest.fixture
def device(browser: Any, user: Any, sign_in: Any, post: Callable[..., Any]) -> Device:
    """A device with a passkey of the user."""
    sign_in(user)
    browser.open("/account")
    made = Device()
    assert post("", made.make(post("/new").json)).status_code == 201
    return made


def test_sign_in(browser: Any, device: Device, post: Callable[..., Any], outbox: Any, db: Any, user: Any) -> None:
    """It is two factors at once."""
    assert "A passkey was added." in outbox[-1].get_content()
    user.totp_secret = "A" * 32
    db.commit()
    browser.open("/account")
    browser.send("form[action$=sign-out]")
    for _ in range(2):
        browser.open("/accounts/sign-in")
        answer = post("/sign-in", device.use(post("/challenge").json))
        assert (answer.status_code, answer.json) == (200, {"next": "/account"})
        browser.open("/account")
        assert browser.page.h1.text == "Account"
        browser.send("form[action$=sign-out]")


def test_an_answer_works_once(browser: Any, device: Device, post: Callable[..., Any], app: Flask) -> None:
    used = device.use(post("/challenge").json)
    assert post("/sign-in", used).status_code == 200
    browser.open("/accounts/sign-in")
    assert post("/sign-in", used).status_code == 400
    post("/challenge")
    assert post("/sign-in", used).status_code == 422


def test_a_copy_of_the_cookie_is_no_second_try(
    browser: Any, device: Device, post: Callable[..., Any], app: Flask
) -> None:
    """The challenge is in the cookie, which somebody may have copied together with the answer."""
    used = device.use(post("/challenge").json)
    name = app.config["SESSION_COOKIE_NAME"]
    copied = browser.client.get_cookie(name).value
    assert post("/sign-in", used).status_code == 200
    browser.client.set_cookie(name, copied)
    assert post("/sign-in", used).status_code == 400


def test_a_passkey_is_added_once(browser: Any, device: Device, post: Callable[..., Any]) -> None:
    assert post("", device.make(post("/new").json)).status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [{"site": "https://www.evil.example"}, {"flags": PRESENT}, {"flags": VERIFIED}, {"key": None}, {"count": -1}],
)
def test_what_is_refused(
    browser: Any, device: Device, post: Callable[..., Any], wrong: dict[str, Any], app: Flask
) -> None:
    """Another site, nobody who was verified or there, another key, a device that was copied."""
    browser.client.delete_cookie(app.config["SESSION_COOKIE_NAME"])
    browser.open("/accounts/sign-in")
    device.count = 5
    assert post("/sign-in", device.use(post("/challenge").json)).status_code == 200
    browser.client.delete_cookie(app.config["SESSION_COOKIE_NAME"])
    browser.open("/accounts/sign-in")
    if "key" in wrong:
        wrong = {"key": ec.generate_private_key(ec.SECP256R1())}
    for name, value in wrong.items():
        setattr(device, name, value)
    assert post("/sign-in", device.use(post("/challenge").json)).status_code == 422
    assert browser.client.get("/account").status_code == 401


@pytest.mark.parametrize("site", ["https://www.evil.example", "http://www.example.com"])
def test_a_passkey_for_another_site(browser: Any, user: Any, sign_in: Any, post: Callable[..., Any], site: str) -> None:
    sign_in(user)
    browser.open("/account")
    assert post("", Device(site).make(post("/new").json)).status_code == 422


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    "body", [{}, {"rawId": None}, {"rawId": "ü"}, {"rawId": "x" * 100_000}, [1], "x", {"rawId": "YQ"}]
)
def test_no_answer(browser: Any, post: Callable[..., Any], body: Any) -> None:
    browser.open("/accounts/sign-in")
    assert post("/sign-in", body).status_code in (400, 422)
    post("/challenge")
    assert post("/sign-in", body).status_code in (400, 422)


@pytest.mark.parametrize("body", [{}, {"rawId": "YQ"}, [1], "x", {"id": "YQ", "rawId": "YQ", "response": {}}])
def test_no_passkey(browser: Any, user: Any, sign_in: Any, post: Callable[..., Any], body: Any) -> None:
    sign_in(user)
    browser.open("/account")
    assert post("", body).status_code == 400
    post("/new")
    assert post("", body).status_code == 422


def test_remove(browser: Any, device: Device, staff: Any, sign_in: Any, post: Callable[..., Any], app: Flask) -> None:
    browser.open("/account")
    path = browser.page.select_one("a[href*=remove]")["href"]
    stranger = type(browser)(app.test_client())
    sign_in(staff, stranger.client)
    assert stranger.open(path).status_code == 404
    browser.open(path)
    browser.send()
    assert browser.page.select_one(".flash").text == "The passkey is removed."
    browser.send("form[action$=sign-out]")
    browser.open("/accounts/sign-in")
    assert post("/sign-in", device.use(post("/challenge").json)).status_code == 422
