"""Events are taken once."""

from typing import Any

import pytest
from flask.testing import FlaskClient


@pytest.mark.usefixtures("answer_stores")
def test_events_are_taken_once(client: FlaskClient, jobs: Any) -> None:
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    event = {"type": "order.paid", "data": {}}
    answers = [client.post("/api/v1/events", json=event, headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.json) for answer in answers] == [(202, {"events": 1})] * 2
    assert len(jobs.sent) == 1
    assert client.post("/api/v1/events", json=[event], headers=headers).status_code == 422
