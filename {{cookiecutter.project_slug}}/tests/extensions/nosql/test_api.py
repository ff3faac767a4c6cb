from collections.abc import Callable

from flask import Flask


def test_every_operation_may_answer_503(probe: Callable[..., Flask]) -> None:
    assert 503 in probe("extensions.api", "extensions.nosql.api").extensions["api_errors"]
