"""Events, taken over HTTP and handed to a worker. Change ``EventIn`` and ``process`` first.

A request has one event, a JSON list of them, or newline-delimited JSON. It is taken as a whole or not at all: its events
are one message to the broker. https://github.com/ndjson/ndjson-spec
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import structlog
from flask import Blueprint, abort, current_app
from msgspec import Meta

from ...extensions.api.contract import Input, Output, operation
from ...extensions.celery import TooLargeError, job, jobs
from ...signals import events

bp = Blueprint("ingest", __name__, url_prefix="/api/v1")

#: The most events of one request. Together, they also have to fit into one message.
MOST = 1000
Key = Annotated[str, Meta(min_length=1, max_length=100)]
Time = Annotated[datetime, Meta(tz=True)]
#: One event on each line.
LINES = {"application/x-ndjson": msgspec.json.Decoder().decode_lines}
#: Sent when events were taken, with the application as the sender and ``count`` (int).
taken = events.signal("events_taken")


class EventIn(Input):
    """What has happened."""

    type: Annotated[str, Meta(pattern="^[a-z0-9_.-]{1,100}$", description="Of which kind.", examples=["order.paid"])]
    data: Annotated[dict[str, Any], Meta(description="What belongs to it.", examples=[{"order": 7}])]
    id: Annotated[Key | None, Meta(description="The client's own, the same if it sends it again.")] = None
    time: Annotated[Time | None, Meta(description="When; if it is not told, when it was taken.")] = None


Events = Annotated[list[EventIn], Meta(min_length=1, max_length=MOST)]


class Taken(Output):
    events: Annotated[int, Meta(description="How many were taken.")]


@bp.post("/events")
@operation(202, errors=[503], further=LINES, scopes=["events:write"])
def take_events(json: EventIn | Events) -> Taken:
    """Take events, all of them or none.

    They are in the broker when this is answered, and processed later. If the answer is 503, or there is none, send them
    again.
    """
    batch = json if isinstance(json, list) else [json]
    try:
        process.send([transform(event) for event in batch])
    except TooLargeError as error:
        abort(413, str(error))
    jobs().commit()
    taken.send(current_app._get_current_object(), count=len(batch))  # type: ignore[attr-defined]
    return Taken(events=len(batch))


def transform(event: EventIn) -> dict[str, Any]:
    """What a worker is given of an event: JSON. Keep this light, and do what takes time in ``process``."""
    return {
        "type": event.type,
        "data": event.data,
        "id": event.id or str(uuid4()),
        "time": (event.time or datetime.now(UTC)).isoformat(),
    }


@job("ingest.process")
def process(batch: list[dict[str, Any]]) -> None:
    """Do here what the service is for. A batch may be processed twice: the ids of its events say so."""
    for event in batch:
        structlog.get_logger().info("event", type=event["type"], id=event["id"])
