"""The option ``oidc`` with a certified provider: tokens of machines, people in Chromium, keys that rotate, an outage."""

import hmac
import json
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from threading import Event
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener, urlopen

import pytest
from browsing import PASSWORD, Reader, browser, follow
from conftest import Service
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey, import_key
from matrix import some
from owned import Owned
from running import Server, in_production, serving, until
from selenium.webdriver.common.by import By
from servers.oidc import AUDIENCE, Provider
from servers.processes import started
from test_readme import blocks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with started(Provider(tmp_path_factory.mktemp("provider") / "log", "http://127.0.0.1:1")) as running:
        yield running


@pytest.fixture(scope="session", params=some(["granian", "gunicorn"], "granian"))
def service(request: pytest.FixtureRequest, bake: Callable[..., Service], tmp_path_factory: Any) -> Owned:
    """A service that takes tokens, on each server."""
    made = bake(api="yes", oidc="yes", example="yes", server=request.param)
    return Owned(made, tmp_path_factory.mktemp("oidc") / "service")


def ask(server: Server, token: str) -> tuple[int, Message]:
    """Convert a temperature; return the status and the headers."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = Request(f"{server.url}/api/v1/conversions", b'{"celsius": 20}', headers)
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.headers


def part(told: object) -> str:
    return urlsafe_b64encode(told if isinstance(told, bytes) else json.dumps(told).encode()).decode().rstrip("=")


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, claims, signature = token.split(".")
    return json.loads(urlsafe_b64decode(header + "==")), json.loads(urlsafe_b64decode(claims + "==")), signature


def forged(machine: Provider, good: str) -> dict[str, str]:
    """What somebody would send who has a good token, the public key and any library."""
    header, claims, signature = parts(good)
    first, second, _ = good.split(".")
    public = import_key(machine.keys()[0])
    mine, rsa = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)

    twice = b'{"alg":"none",' + json.dumps(header).encode()[1:]

    def signed(key: Any = mine, told: dict[str, Any] = claims, **named: Any) -> str:
        made = {name: value for name, value in (header | named).items() if value is not None}
        return jwt.encode(made, told, key, algorithms=[made["alg"]], default_type=None)

    def hashed(key: bytes) -> str:
        text = f"{part(header | {'alg': 'HS256'})}.{second}"
        return f"{text}.{part(hmac.digest(key, text.encode(), 'sha256'))}"

    def bare(**named: Any) -> str:
        return f"{part(header | named)}.{second}."

    return {
        "none": bare(alg="none"),
        "None": bare(alg="None"),
        "none, and a signature": f"{bare(alg='none')}{signature}",
        "no signature": bare(),
        "HS256 with the public key as PEM": hashed(public.as_pem(private=False)),
        "HS256 with the public key as JWK": hashed(json.dumps(machine.keys()[0]).encode()),
        "another key of this id": signed(),
        "another kind of key of this id": signed(rsa, alg="RS256"),
        "an unknown key": signed(kid="unknown"),
        "no key": signed(kid=None),
        "jwk": signed(jwk=mine.as_dict(private=False)),
        "jku": signed(jku="http://127.0.0.1:1/jwks"),
        "x5u": signed(x5u="http://127.0.0.1:1/certificate"),
        "crit": f"{part(header | {'crit': ['exp']})}.{second}.{signature}",
        "alg in lower case": f"{part(header | {'alg': 'es256'})}.{second}.{signature}",
        "names twice": f"{part(twice)}.{second}.{signature}",
        "more scopes": f"{first}.{part(claims | {'scope': 'conversions:write admin'})}.{signature}",
        "a longer life": f"{first}.{part(claims | {'exp': claims['exp'] + 1})}.{signature}",
        "another subject": f"{first}.{part(claims | {'sub': 'root'})}.{signature}",
        "expired": signed(told=claims | {"exp": 1}),
        "not yet": signed(told=claims | {"nbf": 9999999999}),
        "no end": signed(told={name: value for name, value in claims.items() if name != "exp"}),
        "nobody": signed(told={name: value for name, value in claims.items() if name != "sub"}),
        "another issuer": signed(told=claims | {"iss": "https://evil.example"}),
        "truncated": good[:-20],
        "one letter less": good[:-1],
        "two parts": f"{first}.{second}",
        "six parts": f"{good}.{good}",
        "not UTF-8": f"{first}.{part(bytes([255, 254]))}.{signature}",
        "a list": f"{first}.{part([1])}.{signature}",
        "empty": "",
        "dots": "..",
        "opaque": "x" * 43,
        "7 KB": f"{first}.{part({'x': 'a' * 5_000})}.{signature}",
    }


def test_tokens_of_a_machine(service: Owned, machine: Provider, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(in_production(service.folder, tmp_path / "log", **machine.settings))
        good = machine.token()
        assert ask(server, good)[0] == 200
        status, headers = ask(server, machine.token("conversions:read"))
        assert (status, headers["WWW-Authenticate"]) == (
            403,
            'Bearer error=insufficient_scope, scope="conversions:write"',
        )
        wrong = forged(machine, good) | {"another audience": machine.token(resource="https://other.example.com")}
        assert len(wrong) >= 25
        assert {name: ask(server, token)[0] for name, token in wrong.items()} == dict.fromkeys(wrong, 401)
        # A header of 100 KB is refused by the server, or by the service.
        assert ask(server, "a" * 100_000)[0] in (400, 401, 431)
        assert ask(server, good)[0] == 200
        told = server.log.read_text()
        assert good not in told
        assert "Traceback" not in told


def test_keys_rotate_under_load(service: Owned, machine: Provider, tmp_path: Path) -> None:
    """Tokens of the new key are taken at once, in each worker, and the provider is not flooded."""
    with ExitStack() as stack:
        server = stack.enter_context(in_production(service.folder, tmp_path / "log", **machine.settings))
        old = machine.token()
        assert [ask(server, old)[0] for _ in range(20)] == [200] * 20
        stopped, statuses = Event(), list[int]()
        bad = jwt.encode(
            {"alg": "ES256", "kid": "unknown", "typ": "at+jwt"},
            {"iss": machine.url, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 300},
            ECKey.generate_key("P-256"),
        )

        def load(_: int) -> None:
            while not stopped.is_set():
                statuses.append(ask(server, old)[0])

        with ThreadPoolExecutor(6) as pool:
            loads = [pool.submit(load, number) for number in range(4)]
            try:
                until(lambda: len(statuses) > 100, 60)
                asked = machine.asked("/jwks")
                machine.rotate()
                new = machine.token()
                answers = list(pool.map(lambda _: ask(server, new)[0], range(40)))
                flood = list(pool.map(lambda _: ask(server, bad)[0], range(100)))
            finally:
                stopped.set()
            for one in loads:
                one.result()
        assert answers == [200] * 40
        assert flood == [401] * 100
        # Two workers, if both were asked, and twice a minute each; the first read of each was before.
        assert 1 <= machine.asked("/jwks") - asked <= 4
        assert set(statuses) == {200, 401}  # The old key is unknown from the moment of the first new token.
        assert ask(server, old)[0] == 401


def test_the_provider_stops(service: Owned, tmp_path: Path) -> None:
    """Known keys go on; a service that starts meanwhile says 503, until the provider is back."""
    with ExitStack() as stack:
        own = stack.enter_context(started(Provider(tmp_path / "provider", "http://127.0.0.1:1")))
        # One worker: another one might have read no keys by now.
        server = stack.enter_context(
            in_production(service.folder, tmp_path / "log", WEB_CONCURRENCY="1", **own.settings)
        )
        token = own.token()
        assert ask(server, token)[0] == 200
        own.stop()
        assert [ask(server, token)[0] for _ in range(20)] == [200] * 20
        other = stack.enter_context(in_production(service.folder, tmp_path / "other", **own.settings))
        status, headers = ask(other, token)
        assert (status, headers["Retry-After"]) == (503, "5")
        assert other.get("/readyz")[0] == 200
        own.start()
        until(lambda: ask(other, own.token())[0] == 200, 30)
        assert "oidc_provider_unavailable" in other.log.read_text()


def test_the_readme_of_a_service_followed(bake: Callable[..., Service], tmp_path: Path) -> None:
    service = Owned(bake(api="yes", oidc="yes", pages="yes"), tmp_path / "service")
    operation, test, view = blocks((service.folder / "README.md").read_text().partition("## OpenID Connect")[2], "py")
    service.add("blueprints.orders", operation)
    service.command("openapi", "write")
    for path, text in (
        (service.folder / "tests/blueprints/test_orders.py", test),
        (service.package / "blueprints/pages/__init__.py", view),
    ):
        with path.open("a") as file:
            file.write(text)
    service.test("tests/blueprints")


@dataclass(frozen=True)
class Site:
    provider: Provider
    url: str
    #: Whether it has accounts.
    accounts: bool


@pytest.fixture(scope="session", params=["granian", "gunicorn"])
def site(request: pytest.FixtureRequest, bake: Callable[..., Service], tmp_path_factory: Any) -> Iterator[Site]:
    """A site without accounts on one server, with accounts on the other, and the provider of both."""
    folder = tmp_path_factory.mktemp("site")
    answers = {"api": "yes", "oidc": "yes", "pages": "yes", "server": request.param}
    if request.param == "gunicorn":
        answers |= {"email": "yes", "accounts": "yes", "sql": "sqlite"}
    service = Owned(bake(**answers), folder / "service")
    if request.param == "gunicorn":
        service.command("first-migration")
        service.command("db", "upgrade")
    own = Provider(folder / "provider", "")
    # For a browser, localhost is as good as TLS.
    start = f"SITE_URL=http://localhost:$PORT exec {sys.executable} -m {service.package.name} serve"
    settings = {"APP_ENV": "development", "PYTHONPATH": str(service.package.parent)} | own.settings
    with serving(service.folder, folder / "log", ["sh", "-c", start], **settings) as server:
        site = server.url.replace("127.0.0.1", "localhost")
        own.command[-1] = site
        with started(own):
            yield Site(own, site, request.param == "gunicorn")


@pytest.fixture
def reader(site: Site) -> Iterator[Reader]:
    with browser() as driver:
        yield Reader(driver, site.url)


def prove(reader: Reader, name: str, agree: bool = True) -> None:
    """At the provider: sign in, and agree, which it asks for once."""
    until(lambda: reader.all("[name=login]"), 20)
    reader.fill(login=name, password="any")
    reader.find("[type=submit]").click()
    if agree:
        until(lambda: not reader.all("[name=login]") and reader.all("[type=submit]"), 20)
        reader.find("[type=submit]").click()


def back(reader: Reader, site: Site, title: str) -> None:
    """Wait for a page of the site."""
    until(lambda: reader.driver.current_url.startswith(site.url) and title in reader.texts("h1"), 20)
    # The pages of the provider ask for fonts of others.
    lines = [line["message"] for line in reader.driver.get_log("browser") if site.url in line["message"]]
    assert [line for line in lines if "status of 4" not in line] == []
    reader.look()


def test_sign_in_and_out(reader: Reader, site: Site) -> None:
    reader.open("/")
    reader.find("nav a[href$=account]").click()
    if site.accounts:
        back(reader, site, "Sign in")
        reader.driver.find_element(By.LINK_TEXT, "Sign in at the identity provider").click()
    prove(reader, "ada")
    back(reader, site, "Account")
    assert "ada" in reader.texts("main")[0]
    cookies = [cookie for cookie in reader.driver.get_cookies() if "session" in cookie["name"]]
    assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies] == [(True, "Lax")]
    assert len(cookies[0]["value"]) < 1000
    reader.open("/oidc/sign-out")
    reader.click("Sign out")
    assert reader.texts("h1") == ["You are signed out."]
    reader.driver.find_element(By.LINK_TEXT, "Sign out at the provider, too").click()
    until(lambda: reader.all("[name=logout]"), 20)
    reader.find("[name=logout]").click()
    back(reader, site, "You are signed out.")
    reader.driver.get(f"{site.url}/oidc/sign-in")
    until(lambda: reader.all("[name=login]"), 20)  # The provider knows nobody any more.


def test_a_sign_in_that_is_given_up(reader: Reader, site: Site) -> None:
    reader.driver.get(f"{site.url}/oidc/sign-in")
    until(lambda: reader.all("[name=login]"), 20)
    reader.driver.find_element(By.PARTIAL_LINK_TEXT, "Cancel").click()
    back(reader, site, "Bad Request")
    assert "The provider has refused the sign-in. Start again." in reader.texts("main")[0]
    reader.open("/oidc/callback?state=x&code=x")
    assert "was begun elsewhere" in reader.texts("main")[0]


@pytest.mark.parametrize("site", ["gunicorn"], indirect=True)
def test_nobody_is_taken_over(reader: Reader, site: Site) -> None:
    """An account that was there before is linked by whoever has its password."""
    reader.driver.get(f"{site.url}/accounts/sign-up")
    reader.fill(email="grace@example.com")
    reader.click("Send")
    follow(reader, "Finish your sign-up", "grace@example.com")
    reader.fill(password=PASSWORD)
    reader.click("Save")
    reader.click("Sign out")
    reader.driver.find_element(By.LINK_TEXT, "Sign in at the identity provider").click()
    prove(reader, "grace")
    back(reader, site, "Sign in")
    assert "link this identity on the page of your account" in reader.texts(".flash")[0]
    reader.fill(email="grace@example.com", password=PASSWORD)
    reader.click("Sign in")
    assert reader.texts("h1") == ["Identities"]
    reader.driver.find_element(By.LINK_TEXT, "Link another identity").click()  # The provider does not ask again.
    back(reader, site, "Link this identity?")
    reader.click("Link")
    assert reader.texts(".flash") == ["The identity is linked."]
    reader.open("/oidc/sign-out")
    reader.click("Sign out")
    reader.open("/accounts/sign-in")
    reader.driver.find_element(By.LINK_TEXT, "Sign in at the identity provider").click()
    back(reader, site, "Account")
    reader.click("Change your password")
    assert reader.texts("h1") == ["Confirm that it is you"]
    reader.driver.find_element(By.LINK_TEXT, "Sign in at the identity provider").click()
    prove(reader, "grace", agree=False)
    back(reader, site, "Change your password")


def test_the_provider_is_away(site: Site) -> None:
    """When somebody has come back, and the code is to be redeemed."""
    jar = HTTPCookieProcessor()
    opener = build_opener(jar, Unredirected)
    with pytest.raises(HTTPError) as redirect:
        opener.open(f"{site.url}/oidc/sign-in")
    redirect.value.close()
    (state,) = parse_qs(urlsplit(redirect.value.headers["Location"]).query)["state"]
    site.provider.pause()
    try:
        with pytest.raises(HTTPError) as refusal:
            opener.open(Request(f"{site.url}/oidc/callback?state={state}&code=x", headers={"Accept": "text/html"}))
    finally:
        site.provider.resume()
    assert (refusal.value.code, refusal.value.headers["Retry-After"]) == (503, "5")
    with refusal.value:
        assert "The provider does not answer." in refusal.value.read().decode()


class Unredirected(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None
