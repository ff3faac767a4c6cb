"""A job that does nothing, in a service."""

from flask import Blueprint

from ..extensions.celery import job

bp = Blueprint("bench", __name__)


@job("bench.process")
def process(batch: list[dict[str, object]]) -> None: ...
