from collections.abc import Callable

from flask import Flask


def test_it_is_what_serve_starts(probe: Callable[..., Flask]) -> None:
    """The template tests the running server: ``make faults`` there."""
    app = probe("extensions.gunicorn")
    assert app.extensions["server"].__module__.endswith(".extensions.gunicorn")
