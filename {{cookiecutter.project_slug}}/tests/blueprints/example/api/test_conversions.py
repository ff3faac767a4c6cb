from typing import Any

import pytest
from flask.testing import FlaskClient

URL = "/api/v1/conversions"


def test_a_conversion(client: FlaskClient) -> None:
    response = client.post(URL, json={"celsius": 20})
    assert response.json == {"celsius": 20, "fahrenheit": 68}


@pytest.mark.parametrize("celsius", [-273.16, 1.5e32, "20", None, True])
def test_no_temperature(client: FlaskClient, celsius: object) -> None:
    response: Any = client.post(URL, json={"celsius": celsius})
    assert response.status_code == 422
    assert response.json["errors"][0]["pointer"] == "#/celsius"
