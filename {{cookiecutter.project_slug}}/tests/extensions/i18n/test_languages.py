"""The language of a request, and what is written in it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, render_template
from flask.testing import FlaskClient

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
ENGLISH, DEUTSCH = "Welcome Hello, &lt;b&gt;!", "Willkommen Hallo, &lt;b&gt;!"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("de", DEUTSCH),
        ("de-AT,de;q=0.9,en;q=0.5", DEUTSCH),
        ("fr,de;q=0.5", DEUTSCH),
        ("en,de;q=0.5", ENGLISH),
        ("fr", ENGLISH),
        ("", ENGLISH),
        (",;q=,x" * 1000, ENGLISH),
    ],
)
def test_the_browser_asks_for_a_language(client: FlaskClient, asked: str, text: str) -> None:
    response = client.get("/hello", headers={"Accept-Language": asked})
    assert response.text == text
    assert response.headers["Content-Language"] == ("de" if text == DEUTSCH else "en")
    assert response.vary.as_set() == {"cookie", "accept-language"}


def test_the_reader_chooses_a_language(client: FlaskClient) -> None:
    response = client.get("/hello?lang=en", headers=GERMAN)
    assert response.text == ENGLISH
    assert "accept-language" not in response.vary
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert all(word in cookie for word in ("lang=en", "HttpOnly", "SameSite=Lax", "Max-Age=31536000", "Path=/"))
    kept = client.get("/hello", headers=GERMAN)
    assert (kept.text, kept.vary.as_set()) == (ENGLISH, {"cookie"})
    assert "Set-Cookie" not in kept.headers
    assert client.get("/hello?lang=de").text == DEUTSCH


@pytest.mark.parametrize("asked", ["xx", "DE", "../../etc/passwd", "", "\0", "de\r\nX: y", "x" * 10_000])
def test_a_language_that_there_is_not(app: Flask, asked: str) -> None:
    client = app.test_client(use_cookies=False)
    response = client.get("/hello", query_string={"lang": asked})
    assert (response.status_code, response.text) == (200, ENGLISH)
    assert "Set-Cookie" not in response.headers
    kept = client.get("/hello", headers=GERMAN, environ_overrides={"HTTP_COOKIE": f"lang={asked}"})
    assert kept.text == DEUTSCH


def test_a_page_says_its_language_and_links_to_the_others(app: Flask, browser: Any) -> None:
    browser.open("/page?q=a%26b&q=c&lang=en", headers=GERMAN)
    assert browser.page.html["lang"] == "en"
    links = {link.text: link for link in browser.page.select("section a")}
    assert {name: link["href"] for name, link in links.items()} == {
        "English": "?q=a%26b&q=c&lang=en",
        "Deutsch": "?q=a%26b&q=c&lang=de",
    }
    assert "aria-current" in links["English"].attrs
    browser.open("/page" + str(links["Deutsch"]["href"]))
    assert browser.page.html["lang"] == "de"
    assert browser.page.select_one(".skip").text == "Zum Inhalt"


def test_no_link_leads_to_another_site(browser: Any) -> None:
    browser.open("/nowhere", query_string={"lang": "//evil.example", "q": '"><script>'})
    links = browser.page.select("section a")
    assert all(str(link["href"]).startswith("?q=%22%3E%3Cscript%3E&lang=") for link in links)
    assert len(links) == 2


def test_one_language_is_no_choice(make_site: Callable[..., Flask]) -> None:
    text = make_site(LANGUAGES="de").test_client().get("/page").text
    assert '<html lang="de">' in text
    assert "lang=de" not in text


def test_a_mistake_in_a_form(browser: Any) -> None:
    browser.open("/greet", headers=GERMAN)
    assert browser.page.label.text == "Ihr Name"
    browser.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    browser.send(name="")
    assert browser.page.select_one("#name-about").text == "Dieses Feld wird benötigt."
    browser.send(name="a\0")
    assert browser.page.select_one("#name-about").text.startswith("Das enthält ein Zeichen")
    browser.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    browser.send(name="")
    assert browser.page.select_one("#name-about").text == "This field is required."


def test_errors_are_pages_in_the_language(app: Flask, browser: Any) -> None:
    assert browser.open("/nowhere", headers=GERMAN).status_code == 404
    assert browser.page.h1.text == "Nicht gefunden"
    assert browser.page.main.p.text.startswith("Diese Adresse gibt es")
    browser.open("/stop", headers=GERMAN)
    assert browser.page.main.p.text == "<script>100 %</script>"
    browser.open("/stop", method="POST", headers=GERMAN)
    assert browser.page.h1.text == "Methode nicht erlaubt"


def test_programs_are_answered_in_english_and_nothing_is_looked_up(client: FlaskClient) -> None:
    for path in ("/", "/nowhere"):
        response = client.get(f"{path}?lang=de", headers={"Accept": "application/json", **GERMAN})
        assert "Content-Language" not in response.headers
        assert not {"accept-language", "cookie"} & response.vary.as_set()
        assert "Set-Cookie" not in response.headers
    assert (response.json or {})["title"] == "Not Found"


def test_a_moment(app: Flask) -> None:
    moment = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)
    for asked, text in (("de", "27. November 2026"), ("en", "November 27, 2026")):
        with app.test_request_context(headers={"Accept-Language": asked}):
            shown = render_template("moment.html", moment=moment)
        assert shown.startswith(text)
        assert "UTC" in shown


def test_outside_of_a_request(app: Flask, i18n: ModuleType) -> None:
    """Jobs and commands have the first language, unless they say otherwise."""
    label = i18n.lazy_gettext("Hello, %(name)s!", name="Ada")
    assert str(label) == "Hello, Ada!"
    with app.app_context():
        with i18n.speaking("de"):
            assert str(label) == "Hallo, Ada!"
            assert i18n.ngettext("%(num)s note", "%(num)s notes", 2) == "2 notes"
        with i18n.speaking("xx"):
            assert i18n.language() == "en"
        assert str(label) == "Hello, Ada!"
        assert i18n.gettext("") == ""


def test_languages_are_a_setting(make_site: Callable[..., Flask]) -> None:
    client = make_site(LANGUAGES="de, en").test_client()
    assert client.get("/hello", headers={"Accept-Language": "fr"}).text == DEUTSCH
    with pytest.raises(Exception, match=r"LANGUAGES: Must be some of these, with commas between them: en, de\."):
        make_site(LANGUAGES="de,xx")


@pytest.mark.parametrize("content", [b"", b"no catalog", b"\xde\x12\x04\x95", b"\xde\x12\x04\x95" + b"\xff" * 60])
def test_a_catalog_that_is_broken_is_logged(
    make_site: Callable[..., Flask], german: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    german.with_suffix(".mo").write_bytes(content)
    response = make_site().test_client().get("/hello", headers=GERMAN)
    assert (response.status_code, response.text) == (200, ENGLISH)
    assert "catalog_broken" in caplog.text


def test_a_translation_with_other_placeholders_is_never_shown(make_site: Callable[..., Flask], german: Path) -> None:
    german.write_text(german.read_text().replace("Hallo, %(name)s", "Hallo, %(nam)s"))
    assert make_site().test_client().get("/hello", headers=GERMAN).text == "Willkommen Hello, &lt;b&gt;!"
