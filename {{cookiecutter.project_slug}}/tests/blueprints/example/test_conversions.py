import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize(("celsius", "fahrenheit"), [(20, 68), (-40.0, -40), (-273.15, -459.67)])
def test_conversion(client: FlaskClient, celsius: float, fahrenheit: float) -> None:
    response = client.post("/conversions", json={"celsius": celsius})
    assert response.status_code == 200
    assert response.json == {"celsius": celsius, "fahrenheit": fahrenheit}


@pytest.mark.parametrize("body", [{}, [], "20", {"celsius": "20"}, {"celsius": True}, {"celsius": -273.16}])
def test_what_cannot_be_converted(client: FlaskClient, body: object) -> None:
    response = client.post("/conversions", json=body)
    assert response.status_code == 422
    assert response.get_json()["detail"] == "Send an object with a number, celsius, from -273.15 to 1.4e+32."
