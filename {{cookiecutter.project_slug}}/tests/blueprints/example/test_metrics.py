from flask.testing import FlaskClient


def test_conversions_are_counted(client: FlaskClient) -> None:
    assert "conversions_total 0.0" in client.get("/metrics").text
    client.post("/conversions", json={"celsius": 20})
    client.post("/conversions", json={"celsius": "cold"})
    assert "conversions_total 1.0" in client.get("/metrics").text
