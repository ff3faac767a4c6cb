"""The development container: its file is one, and what it runs works.

No registry of packages has the schema of these files (the hosts of their specification have), so the
fields that are used are written down here as it defines them.
https://containers.dev/implementors/json_reference/
"""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from conftest import Service
from manifest import PRESETS
from running import run

STRINGS = {"type": "array", "items": {"type": "string"}}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "mounts": {"type": "array", "items": {"type": "string", "pattern": r"^source=[^,]+,target=[^,]+,type=volume$"}},
        "postCreateCommand": {"type": "string"},
        "forwardPorts": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 65535}},
        "customizations": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "vscode": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"extensions": STRINGS, "settings": {"type": "object"}},
                }
            },
        },
    },
}


def configuration(service: Service) -> dict[str, Any]:
    """The file, which may have comments in lines of their own."""
    text = service.read(".devcontainer/devcontainer.json")
    return dict(json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)))


@pytest.mark.parametrize(
    "answers",
    [*({"preset": preset} for preset in PRESETS), {"python_version": "3.11"}],
    ids=lambda answers: "-".join(answers.values()),
)
def test_the_file_is_valid(answers: dict[str, str], bake: Callable[..., Service]) -> None:
    service = bake(devcontainer="yes", **answers)
    found = configuration(service)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert found["image"] == f"python:{service.answers['python_version']}"
    assert found["forwardPorts"] == [int(re.findall(r"^PORT \?= (\d+)$", service.read("Makefile"), re.MULTILINE)[0])]


@pytest.mark.slow
def test_its_command_makes_the_environment_that_its_editor_uses(bake: Callable[..., Service]) -> None:
    service = bake(preset="minimal", devcontainer="yes", project_name="Container of mine")
    found = configuration(service)
    folder = "${containerWorkspaceFolder}"
    (mount,) = found["mounts"]
    environment = mount.partition("target=")[2].partition(",")[0].replace(folder, str(service.path))
    (service.path / ".venv").mkdir()  # As a volume is mounted: there, and empty.
    run(service.path, *shlex.split(found["postCreateCommand"]))
    interpreter = found["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    interpreter = interpreter.replace(folder, str(service.path))
    assert interpreter.startswith(environment)
    run(service.path, interpreter, "-c", "import pytest, container_of_mine")
