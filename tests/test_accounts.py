"""The option ``accounts`` in Chromium: a server with two workers, mails in the mailbox, an authenticator for passkeys."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pyotp
import pytest
from browsing import PASSWORD, Reader, browser, follow, sign_up
from conftest import Service
from matrix import some
from owned import Owned
from running import Server, serving, until
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions
from test_readme import blocks


@pytest.mark.slow
def test_the_readme_of_a_service_followed(bake: Callable[..., Service], tmp_path: Path) -> None:
    service = Owned(bake(pages="yes", email="yes", accounts="yes", sql="sqlite"), tmp_path / "service")
    view, test = blocks((service.folder / "README.md").read_text().partition("## Accounts")[2], "py")
    for path, text in (
        (service.package / "blueprints/pages/__init__.py", view),
        (service.folder / "tests/blueprints/test_pages.py", f"\n\n{test}"),
    ):
        with path.open("a") as file:
            file.write(text)
    service.command("first-migration")
    service.test("tests/blueprints")


@pytest.fixture(scope="session", params=some(["granian", "gunicorn"], "granian"))
def site(request: pytest.FixtureRequest, bake: Callable[..., Service], tmp_path_factory: Any) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("accounts")
    answers = {"pages": "yes", "email": "yes", "accounts": "yes", "sql": "sqlite", "server": request.param}
    service = Owned(bake(**answers), folder / "service")
    service.command("first-migration")
    service.command("db", "upgrade")
    # For a browser, localhost is as good as TLS.
    command = ["sh", "-c", f"SITE_URL=http://localhost:$PORT exec {sys.executable} -m {service.package.name} serve"]
    settings = {"APP_ENV": "development", "PYTHONPATH": str(service.package.parent)}
    with serving(service.folder, folder / "log", command, **settings) as server:
        yield server


@pytest.fixture(params=["script", "plain", "dark phone"])
def reader(request: pytest.FixtureRequest, site: Server) -> Iterator[Reader]:
    with browser(script=request.param != "plain", phone="phone" in request.param) as driver:
        yield Reader(driver, site.url.replace("127.0.0.1", "localhost"), request.param != "plain")


def new_code(secret: str, used: list[str]) -> str:
    """A code that was not used: it changes every 30 seconds, and the next one is taken, too."""
    now = time.time()
    code = next(code for code in (pyotp.TOTP(secret).at(now), pyotp.TOTP(secret).at(now + 30)) if code not in used)
    used.append(code)
    return code


@pytest.mark.slow
def test_an_account(reader: Reader, request: pytest.FixtureRequest) -> None:
    """Signed up, verified, signed out and in, a second factor, another password: on each page, axe looks."""
    email = f"{request.node.name}@example.com".translate(str.maketrans("[] ", "---"))
    sign_up(reader, email)
    assert reader.texts("h1, .flash") == ["Welcome.", "Account"]
    reader.click("Sign out")
    reader.fill(email=email, password="wrong")
    reader.click("Sign in")
    assert reader.texts("[role=alert]")[0] == "The address or the password is wrong."
    reader.fill(password=PASSWORD)
    reader.click("Sign in")
    reader.click("Add a second factor")
    secret, used = reader.texts("code")[0], list[str]()
    reader.fill(code=new_code(secret, used))
    reader.click("Add")
    recovery = reader.texts("code")
    reader.click("Go on")
    reader.click("Sign out")
    reader.fill(email=email, password=PASSWORD)
    reader.click("Sign in")
    assert reader.texts("h1") == ["Second factor"]
    reader.fill(code=used[0])
    reader.click("Sign in")
    assert reader.texts("[role=alert]") == ["This code is wrong, or was used."]
    reader.fill(code=recovery[0])
    reader.click("Sign in")
    reader.click("Change your password")
    reader.driver.execute_script("document.forms[0].noValidate = true")
    reader.fill(password="short")
    reader.click("Change")
    assert reader.find("#password").get_attribute("aria-invalid") == "true"
    reader.fill(password=f"another {PASSWORD}")
    reader.click("Change")
    assert reader.texts("h1") == ["Account"]
    reader.click("Change your address")
    reader.fill(email=f"new-{email}")
    reader.click("Send")
    follow(reader, "Confirm your address", f"new-{email}")
    reader.click("Confirm")
    assert f"new-{email}" in reader.texts("main")[0]
    reader.click("Remove it")
    reader.click("Remove")
    assert reader.texts(".flash") == ["The second factor is removed."]


@pytest.mark.slow
def test_a_passkey(site: Server) -> None:
    with browser() as driver:
        reader = Reader(driver, site.url.replace("127.0.0.1", "localhost"))
        options = VirtualAuthenticatorOptions()
        options.protocol, options.transport = "ctap2", "internal"
        options.has_resident_key = options.has_user_verification = options.is_user_verified = True
        driver.add_virtual_authenticator(options)
        sign_up(reader, "passkey@example.com")
        reader.click("Add a passkey")
        assert reader.texts(".flash") == ["The passkey is added."]
        assert len(driver.get_credentials()) == 1
        reader.click("Sign out")
        reader.click("Sign in with a passkey")
        assert reader.texts("h1") == ["Account"]
        reader.click("Sign out")
        driver.set_user_verified(False)  # The finger of somebody else.
        reader.find("[data-passkey]").click()
        until(lambda: reader.texts("#passkey-error") != [""], 20)
        assert reader.texts("h1") == ["Sign in"]
        driver.set_user_verified(True)
        reader.click("Sign in with a passkey")
        reader.click("Remove")
        reader.click("Remove")
        assert reader.texts(".flash") == ["The passkey is removed."]
        reader.click("Sign out")
        assert len(driver.get_credentials()) == 1  # The device still has it.
        reader.find("[data-passkey]").click()
        until(lambda: reader.texts("#passkey-error") != [""], 20)
        assert reader.texts("#passkey-error") == ["This passkey is unknown."]


@pytest.mark.slow
def test_tries_are_counted_over_all_workers(site: Server) -> None:
    """Each try over connections and with a cookie of its own: the workers have only the table in common."""
    statuses = []
    for number in range(12):
        opener = build_opener(HTTPCookieProcessor())
        page = opener.open(f"{site.url}/accounts/sign-in").read().decode()
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert token
        data = {"email": "counted@example.com", "password": f"wrong {number}", "csrf_token": token[1]}
        with pytest.raises(HTTPError) as refused:
            opener.open(f"{site.url}/accounts/sign-in", urlencode(data).encode())
        statuses.append(refused.value.code)
        refused.value.close()
    assert statuses == [422] * 10 + [429] * 2
