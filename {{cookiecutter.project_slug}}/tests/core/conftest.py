"""Core, on an application that has nothing of the service: no change of yours breaks these tests."""

from collections.abc import Callable
from secrets import token_hex

import pytest
from flask import Flask


@pytest.fixture
def app(probe: Callable[..., Flask]) -> Flask:
    return probe()


@pytest.fixture
def production() -> dict[str, str]:
    """What core asks for in production."""
    return {"APP_ENV": "production", "SECRET_KEY": token_hex(32)}
