"""A digest is ordered once: its job is sent once."""

from typing import Any

import pytest
from flask.testing import FlaskClient


@pytest.mark.usefixtures("answer_stores")
def test_a_digest_is_ordered_once(client: FlaskClient, jobs: Any) -> None:
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first, second = [client.post("/api/v1/digests", headers=headers) for _ in range(2)]
    assert (first.status_code, first.json) == (second.status_code, second.json)
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Retry-After"] == "1"
    assert len(jobs.run()) == 1
