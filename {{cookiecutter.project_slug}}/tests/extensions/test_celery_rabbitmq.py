"""RabbitMQ as the broker: its addresses, and its queue."""

import re
from collections.abc import Callable
from inspect import unwrap
from types import ModuleType

import pytest
from flask import Flask

Probe = Callable[..., Flask]


@pytest.mark.parametrize(
    "url", ["amqp://127.0.0.1", "amqp://127.0.0.1//", "amqp://user:pa%40ss@broker:5672/name", "amqps://broker/%2Fname"]
)
def test_addresses(url: str, probe: Probe) -> None:
    assert probe("extensions.celery", BROKER_URL=url).config["BROKER_URL"] == url


@pytest.mark.parametrize("url", ["http://broker", "amqp://", "amqp://a@b@c", "amqp://broker/name?heartbeat=0"])
def test_wrong_addresses(url: str, probe: Probe) -> None:
    with pytest.raises(Exception, match=re.escape("BROKER_URL: Set it to the address of the broker, such as amqp://")):
        probe("extensions.celery", BROKER_URL=url)


def test_the_queue_survives_a_broker(celery: ModuleType) -> None:
    """A queue and an exchange keep their kind: what the first release declares is what every later one finds."""
    queue = unwrap(celery.chosen_broker().queue)("probe")  # The fixtures may have others.
    assert (queue.name, queue.durable, queue.queue_arguments) == ("probe", True, {"x-queue-type": "quorum"})
    assert (queue.exchange.name, queue.exchange.type, queue.exchange.durable) == ("probe", "topic", True)
