"""Lines of an owner and lines of the template do not meet in a merge: every option comes and goes beside them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Service
from test_manifest import CASES

#: Where both write: a line of the template, and what an owner writes below it.
OWN = {
    "pyproject.toml": [
        ("# Your dependencies go below this line.\n", '    "requests>=2,<3",\n'),
        ("# Your tools go below this line.\n", '    "responses>=0.25,<1",\n'),
        ('    "--strict-markers",\n', '    "-ra",\n'),
        ("# Settings of your tools go below this line.\n", '\n[[tool.mypy.overrides]]\nmodule = "legacy.*"\n'),
    ],
    "README.md": [
        ("# Flask Service\n", "\nAsk the team Orders.\n"),
        (
            "### Settings of your own\n\n| Setting | For example | What it is |\n| --- | --- | --- |\n",
            "| `GREETING` | `hi` | how it greets |\n",
        ),
    ],
    ".env.example": [("# Yours go below this line.\n", "#GREETING=hello\n")],
    ".gitignore": [("# Yours go below this line.\n", "/reports/\n")],
    "Makefile": [("what make help prints.\n", "\nreports: ## Write the reports\n\t$(FLASK) reports\n")],
    "src/flask_service/modules.py": [
        ('    "blueprints.main",\n', '    "blueprints.orders",\n    "extensions.stock",\n')
    ],
    "src/flask_service/config.py": [("    return {\n", '        "GREETING": env.text("GREETING", "hello"),\n')],
    "tests/test_imports.py": [("ALLOWED: list[str] = [\n", '    "urllib3",\n')],
}


def edited(name: str, text: str) -> str:
    """A file with the owner's lines in it."""
    for place, lines in OWN[name]:
        assert text.count(place) == 1, f"{name} has one place for {lines!r}"
        text = text.replace(place, place + lines)
    return text


def merge(folder: Path, ours: str, base: str, theirs: str) -> str:
    """Merge as git does; a conflict is an error."""
    for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
        (folder / name).write_text(text)
    command = ["git", "merge-file", "-p", "ours", "base", "theirs"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("case", CASES)
def test_every_option_comes_and_goes(case: str, render: Callable[..., Service], tmp_path: Path) -> None:
    """``make update`` merges what it renders before and after: these merges have no conflict, and lose no line."""
    plain, other = render(preset=case.split()[0]), render(**CASES[case])
    for name in OWN:
        before, after = plain.read(name), other.read(name)
        there = merge(tmp_path, edited(name, before), before, after)
        assert there == edited(name, after)
        assert merge(tmp_path, there, after, before) == edited(name, before)
