"""Static files under names that change with their contents."""

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

STYLE = "body { color: red; }\n" * 100


@pytest.fixture
def style(app: Flask, tmp_path: Path) -> str:
    """The address of a style sheet."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/style.css").write_text(STYLE)
    return address(app, "site/style.css")


def address(app: Flask, name: str) -> str:
    with app.test_request_context():
        return url_for("static", filename=name)


def test_a_name_has_the_hash_and_is_kept_for_a_year(client: FlaskClient, style: str) -> None:
    assert re.fullmatch(r"/static/site/style\.[0-9a-f]{16}\.css", style)
    response = client.get(style)
    assert (response.text, response.content_type) == (STYLE, "text/css; charset=utf-8")
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get(style, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_it_is_compressed_for_whom_that_can_read_it(client: FlaskClient, style: str) -> None:
    zipped = client.get(style, headers={"Accept-Encoding": "br, gzip"})
    assert gzip.decompress(zipped.data).decode() == STYLE
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.headers["Vary"] == "Accept-Encoding"
    plain = client.get(style, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["ETag"] != zipped.headers["ETag"]


def test_other_contents_have_another_name(app: Flask, client: FlaskClient, style: str, tmp_path: Path) -> None:
    (tmp_path / "site/style.css").write_text("body {}")
    assert address(app, "site/style.css") != style
    # As a worker answers that has not yet, or no longer, what the page was made with.
    assert client.get(style).status_code == 404
    assert client.get("/static/site/style.css").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["../secret", "site", "site/", "none.css", "a%00b", "x" * 5000, "none.0123456789abcdef.css"]
)
def test_what_is_no_file(client: FlaskClient, style: str, tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "secret").write_text("secret")
    assert client.get(f"/static/{name}").status_code == 404


def test_names_as_others_make_them(app: Flask, client: FlaskClient, tmp_path: Path) -> None:
    """A builder's own hash, no suffix, contents that cannot be smaller, and a file that is not there."""
    for name, body in (("app.0123456789abcdef.js", b"x()"), ("LICENSE", b"free"), ("pixel.png", b"\x89PNG")):
        (tmp_path / name).write_bytes(body)
        response = client.get(address(app, name), headers={"Accept-Encoding": "gzip"})
        assert response.data == body
        assert client.get(f"/static/{name}").data == body
    assert address(app, "none.css") == "/static/none.css"
