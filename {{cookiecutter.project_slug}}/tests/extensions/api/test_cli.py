"""``flask openapi``, in a folder of its own."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_has_not_drifted(make_app: Callable[..., Flask]) -> None:
    """The contract is what the service without the memos of these tests says."""
    path = ROOT / "openapi.json"
    assert path.exists(), "make test writes it"
    done = make_app().test_cli_runner().invoke(args=["openapi", "check", str(path)])
    assert done.exit_code == 0, done.output


def test_write_and_check(folder: Path, runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["openapi", "check"]).exit_code == 1
    assert runner.invoke(args=["openapi", "write"]).exit_code == 0
    assert runner.invoke(args=["openapi", "check"]).exit_code == 0
    text = (folder / "openapi.json").read_text()
    assert runner.invoke(args=["openapi", "write", "-"]).stdout == text
    (folder / "openapi.json").write_text(text.replace("Create a memo", "Make a memo"))
    done = runner.invoke(args=["openapi", "check"])
    assert done.exit_code == 1
    assert "make openapi" in done.output
    assert runner.invoke(args=["openapi", "write", "--missing"]).exit_code == 0
    assert "Make a memo" in (folder / "openapi.json").read_text()
    assert runner.invoke(args=["openapi", "write", "--missing", "new.json"]).exit_code == 0
    assert (folder / "new.json").read_text() == text


def test_a_failure_leaves_the_file_alone(folder: Path, app: Flask) -> None:
    app.add_url_rule("/api/v1/undocumented", view_func=lambda: "")
    done = app.test_cli_runner().invoke(args=["openapi", "write"])
    assert done.exit_code == 1
    assert "Error: /api/v1/undocumented is not documented" in done.output
    assert not (folder / "openapi.json").exists()


def test_diff(folder: Path, runner: FlaskCliRunner) -> None:
    runner.invoke(args=["openapi", "write", "old.json"])
    done = runner.invoke(args=["openapi", "diff", "old.json"])
    assert (done.exit_code, done.output) == (0, "Nothing breaks.\n")
    contract = json.loads((folder / "old.json").read_text())
    del contract["paths"]["/api/v1/memos/{memo_id}"]["delete"]
    done = runner.invoke(args=["openapi", "diff", "old.json", "-"], input=json.dumps(contract))
    assert done.exit_code == 1
    assert "DELETE /api/v1/memos/{memo_id}: the operation is removed\n" in done.output
    assert "1 breaking change.\n" in done.output


@pytest.mark.parametrize("command", ["diff", "stubs"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "odd.json is not an OpenAPI document in JSON."),
        ("{}", "odd.json is not an OpenAPI document in JSON."),
        ('{"openapi": "3.1.1", "paths": []}', "odd.json is not an OpenAPI document in JSON."),
        ('{"openapi": "3.1.1", "paths": {"/api/v1/memos": {"$ref": "#/gone"}}}', "not valid OpenAPI: KeyError('gone')"),
    ],
)
def test_what_is_no_contract(folder: Path, runner: FlaskCliRunner, command: str, text: str, message: str) -> None:
    (folder / "odd.json").write_text(text)
    arguments = ["new"] if command == "stubs" else []
    done = runner.invoke(args=["openapi", command, "odd.json", *arguments])
    assert done.exit_code == 1
    assert message in done.output
    assert not (folder / "new").exists()


def test_stubs_write_over_nothing(folder: Path, runner: FlaskCliRunner) -> None:
    runner.invoke(args=["openapi", "write"])
    done = runner.invoke(args=["openapi", "stubs", "openapi.json", str(folder)])
    assert done.exit_code == 1
    assert "exists" in done.output
