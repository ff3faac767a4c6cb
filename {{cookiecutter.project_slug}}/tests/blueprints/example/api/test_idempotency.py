"""A note is created once."""

import pytest
from flask.testing import FlaskClient

URL = "/api/v1/notes"


@pytest.mark.usefixtures("answer_stores")
def test_a_note_is_created_once(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first, second = [client.post(URL, json={"title": "Shopping"}, headers=headers) for _ in range(2)]
    assert (first.status_code, first.json) == (second.status_code, second.json)
    assert client.get(second.headers["Location"]).json == first.json
    assert len(client.get(URL).get_json()["items"]) == 1
    assert client.post(URL, json={"title": "Garden"}, headers=headers).status_code == 422
