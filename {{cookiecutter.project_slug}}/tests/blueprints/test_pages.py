from typing import Any

from flask.testing import FlaskClient


def test_the_first_page(browser: Any, rendered: list[tuple[str, dict[str, Any]]]) -> None:
    response = browser.open("/")
    assert response.status_code == 200
    assert response.vary.as_set() >= {"accept", "cookie"}
    assert rendered[0][0] == "pages/index.html"
    assert browser.page.h1.text == "Welcome"


def test_it_loads_what_is_there(browser: Any, client: FlaskClient) -> None:
    browser.open("/")
    addresses = [tag.get("src") or tag.get("href") for tag in browser.page.select("script, link")]
    assert len(addresses) == 3
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 200
        assert "immutable" in response.headers["Cache-Control"]
