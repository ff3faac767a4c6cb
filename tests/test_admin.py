"""The option ``admin`` in Chromium: with and without JavaScript, light and dark, on a phone."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browsing import Reader, browser, sign_up
from conftest import Service
from owned import Owned
from running import Server, serving
from test_readme import blocks

ANSWERS = {"pages": "yes", "email": "yes", "accounts": "yes", "admin": "yes", "sql": "sqlite"}


@pytest.mark.slow
def test_the_readme_of_a_service_followed(bake: Callable[..., Service], tmp_path: Path) -> None:
    service = Owned(bake(**ANSWERS), tmp_path / "service")
    module, test = blocks((service.folder / "README.md").read_text().partition("## Administration")[2], "py")
    (service.package / "blueprints/orders.py").write_text(module)
    service.replace("modules.py", '    "blueprints.main",\n', '    "blueprints.main",\n    "blueprints.orders",\n')
    (service.folder / "tests/blueprints/test_orders.py").write_text(f"from typing import Any\n\n\n{test}")
    service.command("db", "upgrade")
    service.command("db", "revision", "Orders")
    service.test("tests/blueprints")


@pytest.fixture(scope="session")
def service(bake: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory) -> Owned:
    service = Owned(bake(**ANSWERS, example="yes"), tmp_path_factory.mktemp("admin") / "service")
    service.command("first-migration")
    service.command("db", "upgrade")
    return service


@pytest.fixture(scope="session")
def site(service: Owned) -> Iterator[Server]:
    # For a browser, localhost is as good as TLS.
    command = ["sh", "-c", f"SITE_URL=http://localhost:$PORT exec {sys.executable} -m {service.package.name} serve"]
    settings = {"APP_ENV": "development", "PYTHONPATH": str(service.package.parent)}
    with serving(service.folder, service.folder.parent / "log", command, **settings) as server:
        yield server


@pytest.fixture(params=["script", "plain", "dark phone"])
def reader(request: pytest.FixtureRequest, site: Server) -> Iterator[Reader]:
    with browser(script=request.param != "plain", phone="phone" in request.param) as driver:
        yield Reader(driver, site.url.replace("127.0.0.1", "localhost"), request.param != "plain")


@pytest.mark.slow
def test_staff_administrates(reader: Reader, service: Owned, site: Server, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["reader"].replace(" ", "-")
    email = f"{name}@example.com"
    sign_up(reader, email)
    assert "Administration" not in reader.texts("header a")
    reader.open("/admin")
    assert reader.texts("h1") == ["Forbidden"]
    service.command("accounts", "staff", email)
    reader.open("/account")
    assert "Administration" in reader.texts("header a")
    reader.open("/admin")
    reader.click("Notes")
    reader.click("New")
    reader.driver.execute_script("document.forms[0].noValidate = true")
    reader.click("Save")
    assert reader.find("#title").get_attribute("aria-invalid") == "true"
    reader.fill(title=f"{name} {'x' * 60}", text="Bread\nButter")
    reader.click("Save")
    assert reader.texts(".flash") == ["It is saved."]
    search(reader, "nothing like it", ["There are no such rows."])
    search(reader, f"BREAD {name}", [f"{name} {'x' * 60}"])
    reader.click(f"{name} {'x' * 60}")
    reader.fill(title=name)
    reader.click("Save")
    reader.click("Title")
    assert reader.find("[aria-sort]").get_attribute("aria-sort") == "ascending"
    reader.click(name)
    reader.click("Delete")
    assert reader.texts("h1") == [f"Delete “{name}”?"]
    reader.click("Keep")
    reader.click("Delete")
    reader.click("Delete")
    assert reader.texts(".flash") == ["It is deleted."]
    assert name not in reader.texts("tbody a")
    reader.open("/admin/users?is-staff=yes")
    assert email in reader.texts("tbody a")
    reader.click(email)
    reader.find("[name=staff]").click()
    reader.click("Save")
    assert reader.texts("h1") == ["Forbidden"]
    told = [line for line in site.log.read_text().splitlines() if "admin_change" in line]
    assert len(told) >= 4
    assert not [line for line in told if "Bread" in line or "xxx" in line]


def search(reader: Reader, words: str, found: list[str]) -> None:
    reader.open("/admin/notes")
    reader.fill(q=words)
    reader.click("Search")
    assert reader.texts("tbody td:first-child") == found


@pytest.mark.slow
def test_of_many_writers_at_once_one_wins(service: Owned, site: Server) -> None:
    """All have opened the same form; all but the first are told."""
    with browser() as driver:
        reader = Reader(driver, site.url.replace("127.0.0.1", "localhost"))
        sign_up(reader, "writer@example.com")
        service.command("accounts", "staff", "writer@example.com")
        reader.open("/admin/notes/new")
        reader.fill(title="Contended")
        reader.click("Save")
        reader.click("Contended")
        form = {name: reader.find(f"[name={name}]").get_attribute("value") or "" for name in ("csrf_token", "version")}
        cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in driver.get_cookies())
        path = driver.current_url.removeprefix(reader.site)

    def send(number: int) -> int:
        body = urlencode(form | {"title": f"By writer {number}", "text": ""})
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        with closing(HTTPConnection("localhost", int(site.url.rpartition(":")[2]), timeout=30)) as connection:
            connection.request("POST", path, body, headers)
            return connection.getresponse().status

    with ThreadPoolExecutor(8) as writers:
        assert sorted(writers.map(send, range(8))) == [303] + [409] * 7
