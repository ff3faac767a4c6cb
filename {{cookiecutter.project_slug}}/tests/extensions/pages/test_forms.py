"""Forms: tokens, mistakes, and what browsers never send."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

FORM = """
<form action="/form" method="post">
<input id="csrf_token" name="csrf_token" type="hidden" value="">
<div class="field"><label for="title">Title</label>
<input aria-describedby="title-about" id="title" maxlength="20" name="title" type="text" value="">
<p class="about" id="title-about">What it is about</p></div>
<div class="field"><label for="count">Count</label> <input id="count" name="count" type="number" value="1"></div>
<button>Send</button>
</form>
"""


def token(browser: Any) -> str:
    return str(browser.page.select_one("[name=csrf_token]")["value"])


def test_a_form(browser: Any, html: Callable[[str], list[object]]) -> None:
    browser.open("/form")
    browser.page.select_one("[name=csrf_token]")["value"] = ""
    assert html(str(browser.page.form)) == html(FORM)


def test_it_is_sent(browser: Any) -> None:
    browser.open("/form")
    assert browser.send(title="Bread").status_code == 200
    assert [flash.text for flash in browser.page.select(".flash")] == ["Got 'Bread'."]
    browser.open("/form")
    assert not browser.page.select(".flash")


def test_a_mistake_is_told_at_its_field(browser: Any) -> None:
    browser.open("/form")
    assert browser.send(title="x" * 21, count="many").status_code == 422
    title, count = browser.page.select("#title, #count")
    assert (title["value"], title["aria-invalid"], count["aria-invalid"]) == ("x" * 21, "true", "true")
    assert "autofocus" in title.attrs
    assert "autofocus" not in count.attrs
    for field in (title, count):
        (about,) = browser.page.select(f"#{field['aria-describedby']}")
        assert about.text


def test_script_that_was_sent_is_text(browser: Any) -> None:
    browser.open("/form")
    assert browser.send(title="<script>x</script>", count='"><img src=x onerror=x>').status_code == 422
    assert not browser.page.select("script, img")
    browser.send(title="<script>x", count="1")
    assert browser.page.select_one(".flash").text == "Got '<script>x'."


def test_a_text_that_is_left_out_is_empty(browser: Any, client: FlaskClient) -> None:
    browser.open("/form")
    client.post("/form", data={"csrf_token": token(browser), "count": "1"})
    browser.open("/form")
    assert "Got ''." in browser.page.text


def test_a_newline_is_one_character(browser: Any) -> None:
    browser.open("/form")
    browser.send(title="x\r\n" * 10)
    assert repr("x\n" * 10) in browser.page.text


@pytest.mark.parametrize("text", ["a\0b", "x" * 500_000, "\ud800" * 21])
def test_texts_that_no_field_takes(browser: Any, text: str) -> None:
    browser.open("/form")
    sent = text.encode(errors="surrogatepass")
    body = {"csrf_token": token(browser), "title": sent, "count": sent}
    assert browser.open("/form", method="POST", data=body).status_code == 422


@pytest.mark.parametrize("path", ["/form", "/data"])
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data", "application/json", "text/plain", ""]
)
def test_what_has_a_cookie_needs_a_token(browser: Any, path: str, kind: str) -> None:
    browser.open("/form")
    body = {"title": "Bread"} if kind == "multipart/form-data" else "title=Bread"
    response = browser.open(path, method="POST", data=body, content_type=kind)
    assert (response.status_code, response.mimetype) == (400, "text/html")
    assert "CSRF token is missing" in browser.page.main.text


def test_a_token_of_somebody_else(app: Flask, browser: Any) -> None:
    other = type(browser)(app.test_client())
    other.open("/form")
    browser.open("/form")
    assert browser.send(csrf_token=token(other)).status_code == 400
    # Without a cookie, it is a form with a mistake.
    anonymous = type(browser)(app.test_client())
    assert anonymous.open("/form", method="POST", data={"title": "Bread"}).status_code == 422
    assert "token is missing" in anonymous.page.select_one("[role=alert]").text


def test_a_token_in_a_header(browser: Any, client: FlaskClient) -> None:
    browser.open("/form")
    headers = {"X-CSRFToken": token(browser)}
    assert client.post("/data", json={}, headers=headers).json == {"taken": True}


def test_programs_need_no_token(app: Flask) -> None:
    assert app.test_client().post("/data", json={}).json == {"taken": True}


@pytest.mark.parametrize(
    ("referrer", "status"), [("https://localhost/form", 200), ("https://evil.example/", 400), (None, 400)]
)
def test_over_tls_the_referrer_is_this_site(browser: Any, referrer: str | None, status: int) -> None:
    page = browser.open("/form", base_url="https://localhost")
    assert page.headers["Referrer-Policy"] == "same-origin"  # otherwise browsers send none
    data = {"csrf_token": token(browser), "title": "Bread", "count": "1"}
    headers = {"Referer": referrer} if referrer else {}
    sent = browser.open("/form", method="POST", base_url="https://localhost", data=data, headers=headers)
    assert sent.status_code == status


def test_headers_of_pages(make_pages: Callable[..., Flask]) -> None:
    headers = make_pages().test_client().get("/form").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "private, no-cache"
    own = make_pages(RESPONSE_HEADERS={"content-security-policy": "default-src 'none'"}).test_client().get("/form")
    assert own.headers.getlist("Content-Security-Policy") == ["default-src 'none'"]
    assert own.headers["Referrer-Policy"] == "same-origin"


def test_the_navigation(app: Flask, browser: Any) -> None:
    app.extensions["navigation"] += [("Home", "index"), ("A <form>", "form")]
    browser.open("/form")
    links = [(link["href"], link.text, link.get("aria-current")) for link in browser.page.select("nav a")]
    assert links == [("/", "Home", None), ("/form", "A <form>", "page")]


def test_what_was_rendered(browser: Any, rendered: list[tuple[str | None, dict[str, Any]]]) -> None:
    browser.open("/form")
    browser.open("/nowhere")
    assert rendered[0][1]["form"].title.label.text == "Title"
    assert rendered[1][0] == "pages/error.html"


@pytest.mark.parametrize("body", [[1], 5, "x", {"title": 5}, {"csrf_token": 5}, {"title": ["x"]}])
def test_json_is_no_form(client: FlaskClient, body: object) -> None:
    assert client.post("/form", json=body).status_code == 422


def test_a_file_is_no_text(client: FlaskClient) -> None:
    files = {"title": (BytesIO(b"x"), "x.txt"), "csrf_token": (BytesIO(b"x"), "x.txt")}
    assert client.post("/form", data=files).status_code == 422
