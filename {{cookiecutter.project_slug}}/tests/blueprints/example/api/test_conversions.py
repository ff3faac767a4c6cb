from typing import Any

import pytest
from flask.testing import FlaskClient

URL = "/api/v1/conversions"


def test_a_conversion(client: FlaskClient) -> None:
    response = client.post(URL, json={"celsius": 20})
    assert response.json == {"celsius": 20, "fahrenheit": 68, "kelvin": 293.15}


@pytest.mark.parametrize("celsius", [-273.16, 1.5e32, "20", None, True])
def test_no_temperature(client: FlaskClient, celsius: object) -> None:
    response: Any = client.post(URL, json={"celsius": celsius})
    assert response.status_code == 422
    assert response.json["errors"][0]["pointer"] == "#/celsius"


def test_the_table_in_pages(client: FlaskClient) -> None:
    found, query = [], "limit=40"
    while query:
        table: Any = client.get(f"{URL}?{query}").json
        found += [row["celsius"] for row in table["items"]]
        query = table["next"] and f"limit=40&cursor={table['next']}"
    assert found == list(range(101))


def test_the_table_is_not_sent_twice(client: FlaskClient) -> None:
    first = client.get(URL)
    assert client.get(URL, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
