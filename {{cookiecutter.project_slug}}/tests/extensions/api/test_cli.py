"""``flask openapi``, in a folder of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_write_and_check(folder: Path, runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["openapi", "check"]).exit_code == 1
    assert runner.invoke(args=["openapi", "write"]).exit_code == 0
    assert runner.invoke(args=["openapi", "check"]).exit_code == 0
    path = folder / "openapi.json"
    text = path.read_text()
    path.write_text(text.replace("Create a memo", "Make a memo"))
    done = runner.invoke(args=["openapi", "check"])
    assert done.exit_code == 1
    assert done.output == "Error: openapi.json is not what the views say. If they are right: make openapi\n"
    assert runner.invoke(args=["openapi", "write", "--missing"]).exit_code == 0
    assert "Make a memo" in path.read_text()
    path.unlink()
    assert runner.invoke(args=["openapi", "write", "--missing", str(folder)]).exit_code == 0
    assert path.read_text() == text


def test_a_file_for_each_version(folder: Path, make_api: Callable[..., Flask]) -> None:
    """The first keeps its name."""
    runner = make_api(API_VERSIONS={"/api/v1": "1.0.0", "/api/v2": "2.0.0"}).test_cli_runner()
    assert runner.invoke(args=["openapi", "write"]).exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"openapi.json", "openapi-v2.json"}
    assert runner.invoke(args=["openapi", "check"]).exit_code == 0


def test_a_failure_leaves_the_file_alone(folder: Path, app: Flask, api: Callable[[str], Any]) -> None:
    def read_memo() -> int:
        return 1

    app.add_url_rule("/api/v1/other", view_func=api("contract").operation()(read_memo))
    done = app.test_cli_runner().invoke(args=["openapi", "write"])
    assert done.exit_code == 1
    assert "both called read_memo" in done.output
    assert not (folder / "openapi.json").exists()
