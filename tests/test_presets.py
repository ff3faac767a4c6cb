"""docs/presets/: a page for each preset, whose tree and costs are those of a fresh service."""

import os
import re
import tomllib
from pathlib import PurePosixPath
from typing import Any

import pytest
from conftest import Service
from manifest import PRESETS, TEMPLATE, settings
from test_size import size

README = TEMPLATE / "README.md"


def tree(files: list[str]) -> str:
    """The files as a drawn tree, in which ``core/`` and ``tests/`` are a line each: nobody has to read the one first."""
    shown = {re.sub(r"^(src/\w+/core|tests)/.*", r"\1/", name) for name in files}
    lines, above = [], PurePosixPath()
    for name in sorted(shown, key=lambda name: ("/" not in name, name)):
        path = PurePosixPath(name)
        for depth, folder in enumerate(path.parts[:-1]):
            if path.parts[: depth + 1] != above.parts[: depth + 1]:
                lines.append("    " * depth + folder + "/")
        lines.append("    " * (len(path.parts) - 1) + path.name + ("/" if name.endswith("/") else ""))
        above = path.parent
    return "\n".join(lines)


def costs(service: Service) -> str:
    project = tomllib.loads(service.read("pyproject.toml"))["project"]
    told = settings(service.chosen)
    required = sorted(f"`{name}`" for name, setting in told.items() if "required" in setting)
    tests = sum(name.startswith("tests/") for name in service.files)
    return "\n".join(
        [
            "| What | How much |",
            "| --- | --- |",
            f"| Files | {len(service.files)}, {tests} of them tests |",
            f"| Lines of code in `src/` | {size(service)} |",
            f"| Direct dependencies | {len(project['dependencies'])} |",
            f"| Settings | {len(told)}; production asks for {', '.join(required)} |",
        ]
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_the_page_of_a_preset(preset: str, bake: Any) -> None:
    page = TEMPLATE / f"docs/presets/{preset}.md"
    service: Service = bake(preset=preset, project_name="Orders")
    text = re.sub(r"(?<=```text\n)[^`]*(?=```)", lambda _: f"{tree(service.files)}\n", page.read_text())
    text = re.sub(r"\| What \|.*?(?=\n\| Memory)", lambda _: costs(service), text, flags=re.DOTALL)
    if os.environ.get("UPDATE_GOLDEN"):
        page.write_text(text)
    assert page.read_text() == text, "UPDATE_GOLDEN=1 make quick writes the tree and the costs"
    assert f"(docs/presets/{preset}.md)" in README.read_text()
