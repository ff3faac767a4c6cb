"""Bare Flask and bare Celery, set up to lose as little as the service: what takes events, and the worker."""

import json
import os
from datetime import UTC, datetime
from uuid import uuid4

from celery import Celery
from flask import Flask, request

celery = Celery("bare", broker=os.environ["BROKER_URL"])
celery.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=2,
    task_soft_time_limit=60,
    task_time_limit=65,
    broker_transport_options={"visibility_timeout": 150},
)


@celery.task(name="bench.process")
def process(batch):
    pass


def complete(event):
    return {"id": str(uuid4()), "time": datetime.now(UTC).isoformat(), **event}


def create_app():
    app = Flask(__name__)

    @app.get("/livez")
    def livez():
        return {"status": "ok"}

    @app.post("/api/v1/events")
    def take_events():
        if request.mimetype == "application/x-ndjson":
            events = [json.loads(line) for line in request.get_data().splitlines()]
        else:
            events = [request.get_json()]
        process.delay([complete(event) for event in events])
        return {"events": len(events)}, 202

    return app
