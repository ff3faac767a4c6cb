from collections.abc import Callable

from flask import Flask


def test_it_is_what_serve_starts(probe: Callable[..., Flask]) -> None:
    """What it does as a server is tested by the template: ``make faults`` there."""
    app = probe("extensions.gunicorn")
    assert app.extensions["server"].__module__.endswith(".extensions.gunicorn")
