"""Redis as the broker: its addresses, and what it cannot keep."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

Probe = Callable[..., Flask]


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://user:pa%40ss@broker",
        "rediss://:password@broker:6380/1?ssl_ca_certs=/ca.pem",
        "redis://[::1]:6379",
    ],
)
def test_addresses(url: str, probe: Probe) -> None:
    assert probe("extensions.celery", BROKER_URL=url).config["BROKER_URL"] == url


@pytest.mark.parametrize(
    "url",
    [
        "amqp://broker",
        "redis://",
        "redis://a@b@c",
        "redis://broker?socket_timeout=99",
        "redis://broker?ssl_cert_reqs=x",
    ],
)
def test_wrong_addresses(url: str, probe: Probe) -> None:
    with pytest.raises(Exception, match=re.escape("BROKER_URL: Set it to the address of the broker, such as redis://")):
        probe("extensions.celery", BROKER_URL=url)


def test_what_would_be_started_twice_is_refused(celery: ModuleType, ran: list[Any], probe: Probe) -> None:
    """Redis gives a job that nobody has finished in time to another worker, also one that waits for its time."""
    app = probe("extensions.celery", BROKER_URL="redis://127.0.0.1:1", JOB_TIMEOUT=10)
    with app.app_context(), pytest.raises(ValueError, match="after 25 seconds at most"):
        celery.declared["probe.note"].send_after(26, 1)


def test_time_outs_are_those_of_the_settings(probe: Probe) -> None:
    app = probe("extensions.celery", BROKER_URL="redis://127.0.0.1:1", BROKER_TIMEOUT=0.5, JOB_TIMEOUT=10)
    options = app.extensions["jobs"].celery.conf.broker_transport_options
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.5, 0.5)
    assert options["visibility_timeout"] > 2 * 10
