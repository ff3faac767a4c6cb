"""The contract of this service, as its clients have it."""

from pathlib import Path

from flask.testing import FlaskCliRunner


def test_the_contract_has_not_drifted(runner: FlaskCliRunner) -> None:
    """If it fails, the views have changed: ``make openapi``, and look at what that means to clients."""
    done = runner.invoke(args=["openapi", "check", str(Path(__file__).parents[1])])
    assert done.exit_code == 0, done.output
