"""Events: one, a list, or lines, taken as a whole and handed to a job."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

PATH = "/api/v1/events"
PAID: dict[str, Any] = {"type": "order.paid", "data": {"order": 7}, "id": "1", "time": "2026-01-01T00:00:00+01:00"}


def lines(*events: object) -> dict[str, Any]:
    """The arguments of a request with an event on each line."""
    return {"data": "".join(json.dumps(event) + "\n" for event in events), "content_type": "application/x-ndjson"}


@pytest.mark.parametrize(
    "body",
    [{"json": PAID}, {"json": [PAID]}, lines(PAID), {**lines(PAID), "data": json.dumps(PAID)}],
    ids=["one", "list", "line", "unended line"],
)
def test_an_event_is_given_to_a_job(client: FlaskClient, jobs: Any, body: dict[str, Any]) -> None:
    answer = client.post(PATH, **body)
    assert (answer.status_code, answer.json) == (202, {"events": 1})
    (sent,) = jobs.sent
    assert sent.args == [[PAID]]
    assert [job.name for job in jobs.run()] == ["ingest.process"]


@pytest.mark.parametrize("as_lines", [False, True])
def test_a_batch_is_one_job(client: FlaskClient, jobs: Any, as_lines: bool) -> None:
    batch = [{"type": "page.viewed", "data": {"page": number}} for number in range(1000)]
    assert client.post(PATH, **lines(*batch) if as_lines else {"json": batch}).json == {"events": 1000}
    (sent,) = jobs.sent
    (events,) = sent.args
    assert [event["data"]["page"] for event in events] == [*range(1000)]
    # Each can be told from the others, though the client has given neither an id nor a time.
    assert len({event["id"] for event in events}) == 1000
    assert all(event["time"] for event in events)


@pytest.mark.parametrize("as_lines", [False, True])
def test_a_mistake_in_one_refuses_all(client: FlaskClient, jobs: Any, as_lines: bool) -> None:
    batch = [PAID, PAID | {"type": "Not a type"}, {"data": {}, "colour": 1}]
    answer = client.post(PATH, **lines(*batch) if as_lines else {"json": batch})
    assert answer.status_code == 422
    assert answer.json
    assert sorted(error["pointer"] for error in answer.json["errors"]) == ["#/1/type", "#/2/colour", "#/2/type"]
    assert jobs.sent == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"json": []}, 422),
        ({"json": [PAID] * 1001}, 422),
        ({"json": [PAID | {"data": {"text": "x" * 300_000}}]}, 413),
        (lines(PAID) | {"data": '{"type": "a", "data": {"a": ' + "[" * 500 + "]" * 500 + "}}"}, 413),
        ({"json": "text"}, 422),
        (lines(), 422),
        (lines(PAID) | {"data": '{"type": '}, 400),
        ({"data": b"\xff", "content_type": "application/json"}, 400),
        ({"data": "a,b", "content_type": "text/csv"}, 415),
    ],
    ids=["none", "too many", "too large", "too deep", "no object", "no line", "half a line", "no text", "no JSON"],
)
def test_what_is_refused(client: FlaskClient, jobs: Any, body: dict[str, Any], status: int) -> None:
    answer = client.post(PATH, **body)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert jobs.sent == []
