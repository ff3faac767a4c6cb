from typing import Any

from flask.testing import FlaskClient


def titles(client: FlaskClient, limit: int) -> list[str]:
    """Walk through all pages."""
    found, cursor = [], None
    while True:
        response: Any = client.get(
            "/api/v1/memos", query_string={"limit": limit} | ({"cursor": cursor} if cursor else {})
        )
        page = response.json
        assert len(page["items"]) <= limit
        found += [memo["title"] for memo in page["items"]]
        if not (cursor := page["next"]):
            return found


def test_pages(client: FlaskClient) -> None:
    assert titles(client, 2) == []
    for number in range(5):
        client.post("/api/v1/memos", json={"title": str(number)})
    for limit in (1, 2, 4, 5, 6):
        assert titles(client, limit) == ["0", "1", "2", "3", "4"]


def test_pages_are_stable_while_items_go(client: FlaskClient) -> None:
    for number in range(4):
        client.post("/api/v1/memos", json={"title": str(number)})
    first: Any = client.get("/api/v1/memos?limit=2").json
    client.delete("/api/v1/memos/1", headers={"If-Match": "*"})
    client.delete("/api/v1/memos/2", headers={"If-Match": "*"})
    second: Any = client.get(f"/api/v1/memos?limit=2&cursor={first['next']}").json
    assert [memo["title"] for memo in second["items"]] == ["2", "3"]
    assert second["next"] is None
