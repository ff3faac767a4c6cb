from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

URL = "/api/v1/orders"
LINES = [{"sku": "tea", "count": 2}, {"sku": "milk"}]


@pytest.fixture
def customer(client: FlaskClient, db: Any) -> int:
    return int(client.post("/api/v1/customers", json={"name": "Ada"}).get_json()["id"])


@pytest.fixture
def order(client: FlaskClient, customer: int) -> TestResponse:
    return client.post(URL, json={"customer_id": customer, "lines": LINES})


def seen(response: TestResponse) -> dict[str, str]:
    return {"If-Match": response.headers["ETag"]}


def test_an_order(client: FlaskClient, order: TestResponse) -> None:
    assert order.status_code == 201
    assert order.get_json()["lines"] == [{"sku": "tea", "count": 2}, {"sku": "milk", "count": 1}]
    read = client.get(order.location)
    assert (read.get_json(), read.headers["ETag"]) == (order.get_json(), order.headers["ETag"])


def test_all_mistakes(client: FlaskClient, customer: int) -> None:
    answer = client.post(URL, json={"lines": [{"sku": ""}, {"sku": "x", "count": 0}]}).get_json()
    assert {error["pointer"] for error in answer["errors"]} == {"#/customer_id", "#/lines/0/sku", "#/lines/1/count"}
    answer = client.post(URL, json={"customer_id": customer + 1, "lines": LINES}).get_json()
    assert answer["errors"] == [{"detail": "There is no such customer.", "pointer": "#/customer_id"}]


def test_change_and_conflict(client: FlaskClient, order: TestResponse) -> None:
    sent = client.patch(order.location, json={"state": "sent"}, headers=seen(order))
    assert sent.get_json()["state"] == "sent"
    assert client.patch(order.location, json={"state": "open"}, headers=seen(order)).status_code == 412
    assert client.patch(order.location, json={"state": "open"}, headers=seen(sent)).status_code == 409


def test_a_customer_with_orders_stays(client: FlaskClient, order: TestResponse) -> None:
    path = f"/api/v1/customers/{order.get_json()['customer_id']}"
    customer = client.get(path)
    assert client.delete(path, headers=seen(customer)).status_code == 409
    assert client.delete(order.location, headers=seen(order)).status_code == 204
    assert client.delete(path, headers=seen(customer)).status_code == 204


def test_pages_and_filters(client: FlaskClient, customer: int, count_queries: Any) -> None:
    placed = [client.post(URL, json={"customer_id": customer, "lines": LINES}) for _ in range(3)]
    client.patch(placed[0].location, json={"state": "paid"}, headers=seen(placed[0]))
    with count_queries() as queries:
        first = client.get(URL, query_string={"limit": 2}).get_json()
    assert len(queries) == 2
    second = client.get(URL, query_string={"limit": 2, "cursor": first["next"]}).get_json()
    ids = [response.get_json()["id"] for response in placed]
    assert [order["id"] for order in first["items"] + second["items"]] == ids[::-1]
    paid = client.get(URL, query_string={"state": "paid", "customer_id": customer}).get_json()["items"]
    assert [order["id"] for order in paid] == ids[:1]
    assert client.get(URL, query_string={"customer_id": customer + 1}).get_json()["items"] == []
