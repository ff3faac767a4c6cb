"""The option ``pages`` in Chromium, over TLS: with and without JavaScript, light and dark, on a phone."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from browsing import Reader, browser
from conftest import Service
from manifest import TEMPLATE, TREE
from owned import Owned
from running import free_port, run, serving, until
from servers.archives import ARCHIVES, fetch
from test_readme import blocks

#: The service on two ports: with TLS, as a proxy would have it, and for the tests to know that it is up.
SERVE = """
import os
from threading import Thread

from flask_service import create_app
from werkzeug.serving import make_server

app, tls = create_app(), ("certificate.pem", "key.pem")
secure = make_server("127.0.0.1", int(os.environ["TLS_PORT"]), app, threaded=True, ssl_context=tls)
Thread(target=secure.serve_forever, daemon=True).start()
make_server("127.0.0.1", int(os.environ["PORT"]), app, threaded=True).serve_forever()
"""


def test_htmx_is_what_was_published() -> None:
    """But for the newline at its end, which texts have. A new version is a new archive, and its number in README."""
    vendored, published = TREE / "src/{{cookiecutter.package_name}}/static/pages", fetch(ARCHIVES["htmx"])
    assert (vendored / "htmx.min.js").read_text() == (published / "dist/htmx.min.js").read_text() + "\n"
    assert (vendored / "htmx.LICENSE.txt").read_text() == (published / "LICENSE").read_text()
    version = json.loads((published / "package.json").read_text())["version"]
    assert f"htmx {version}" in (TEMPLATE / "templates/readme/pages.md").read_text()


@pytest.mark.slow
def test_the_readme_of_a_service_followed(bake: Callable[..., Service], tmp_path: Path) -> None:
    service = Owned(bake(pages="yes"), tmp_path / "service")
    readme = (service.folder / "README.md").read_text().partition("## Pages")[2]
    (view, test), (template,) = blocks(readme, "py"), blocks(readme, "html")
    for path, text in (("blueprints/pages/__init__.py", view), ("templates/pages/greet.html", template)):
        with (service.package / path).open("a") as file:
            file.write(text)
    with (service.folder / "tests/blueprints/test_pages.py").open("a") as file:
        file.write(test)
    service.replace("blueprints/pages/__init__.py", "[(", '[("Greetings", "pages.greet"), (')
    service.test("tests/blueprints")


@pytest.fixture(scope="session")
def site(bake: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with the example's pages."""
    folder = tmp_path_factory.mktemp("site")
    service = Owned(bake(pages="yes", sql="sqlite", example="yes"), folder / "service")
    service.command("db", "upgrade")
    certificate = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout key.pem -out certificate.pem"
    run(service.folder, "openssl", "req", *certificate.split())
    port = free_port()
    settings = {"APP_ENV": "development", "PYTHONPATH": str(service.package.parent), "TLS_PORT": str(port)}
    with serving(service.folder, folder / "log", [sys.executable, "-c", SERVE], **settings):
        yield f"https://127.0.0.1:{port}"


@pytest.fixture(params=["script", "plain", "dark phone"])
def reader(request: pytest.FixtureRequest, site: str) -> Iterator[Reader]:
    with browser(script=request.param != "plain", phone=request.param == "dark phone") as driver:
        yield Reader(driver, site, request.param != "plain")


@pytest.mark.slow
def test_notes_are_written_searched_changed_and_deleted(reader: Reader, request: pytest.FixtureRequest) -> None:
    title = request.node.callspec.params["reader"].capitalize()
    reader.open("/")
    back = reader.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (title != "Dark phone")
    reader.open("/notes/new")
    reader.driver.execute_script("document.forms[0].noValidate = true")
    reader.fill(text="Bread\nButter")
    reader.click("Save")
    focus = reader.driver.switch_to.active_element
    assert (focus.get_attribute("name"), focus.get_attribute("aria-invalid")) == ("title", "true")
    assert reader.find("[name=text]").get_attribute("value") == "Bread\nButter"
    reader.fill(title=f"{title} {'x' * 60}")
    reader.click("Save")
    assert reader.texts(".flash, .text") == ["The note is saved.", "Bread\nButter"]
    reader.click("Edit")
    reader.fill(title=title)
    reader.click("Save")
    assert reader.texts("h1") == [title]
    search(reader, title, "nothing like it", [])
    search(reader, title, f"BREAD {title}", [title])
    reader.click(title)
    reader.click("Delete")
    assert reader.texts("h1") == [f"Delete “{title}”?"]
    reader.click("Delete")
    assert reader.texts(".flash") == ["The note is deleted."]
    assert title not in reader.texts("#notes li")
    reader.open("/nowhere")
    assert reader.texts("h1") == ["Not Found"]


def search(reader: Reader, title: str, words: str, found: list[str]) -> None:
    reader.open("/notes")
    assert title in reader.texts("#notes li")
    before = reader.find("html")
    reader.fill(q=words)
    if title == "Plain":
        reader.click("Search")
    # While it is typed, there may be answers to a part of it.
    until(lambda: asked(reader) == [words] and reader.texts("#notes li") == found, 20)
    assert (reader.find("html") == before) == (title != "Plain")
    assert reader.find("[name=q]").get_attribute("value") == words
    reader.look()


def asked(reader: Reader) -> list[str]:
    """What the address of the page asks for."""
    return parse_qs(urlsplit(reader.driver.current_url).query).get("q", [])


@pytest.mark.slow
def test_the_policy_lets_no_script_in(site: str) -> None:
    """What the console would show, if a page had an inline script."""
    with browser() as driver:
        reader = Reader(driver, site)
        reader.open("/")
        driver.execute_script("document.head.append(Object.assign(document.createElement('script'), {text: 'x'}))")
        with pytest.raises(AssertionError, match="Content Security Policy"):
            reader.listen()
