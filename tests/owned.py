"""Copies of generated services, to work in without installing them: with what this environment has."""

import os
import re
import shutil
import sys
from pathlib import Path

from conftest import Service
from manifest import OPTIONS
from running import run


class Owned:
    """A copy of a service in which somebody has run ``make`` once, and what an owner does to it."""

    def __init__(self, made: Service, folder: Path, site: Path | None = None) -> None:
        """:param site: a folder with packages of others."""
        for name, text in made.texts.items():  # Other tests may have worked in the folder of the service.
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text.encode())
            shutil.copymode(made.path / name, folder / name)
        (self.package,) = (folder / "src").iterdir()
        self.folder = folder
        self.path = [str(site)] if site else []
        for name, option in OPTIONS.items():
            for command in option.get("setup", []) if name in made.chosen else []:
                self.command(*command.split())

    def python(self, *arguments: str, **variables: str) -> str:
        path = os.pathsep.join([str(self.package.parent), *self.path])
        return run(self.folder, sys.executable, *arguments, PYTHONPATH=path, **variables)

    def command(self, *command: str) -> None:
        """Run a command of the service."""
        self.python("-m", self.package.name, *command, APP_ENV="development")

    def test(self, *arguments: str, **variables: str) -> str:
        """Run the tests that were generated."""
        printed = self.python("-m", "pytest", "-q", "--tb=short", "-rf", *arguments, **variables)
        assert re.search(r"\d+ passed", printed)
        return printed

    def add(self, module: str, code: str) -> None:
        """Add a module of the owner, and its line in the list."""
        (self.package / f"{module.replace('.', '/')}.py").write_text(code)
        self.replace("modules.py", 'OWN = [\n    "config",\n', f'OWN = [\n    "config",\n    "{module}",\n')

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.package / name
        assert old in path.read_text(), f"{name}: {old}"
        path.write_text(path.read_text().replace(old, new))

    def everywhere(self, old: str, new: str) -> None:
        """What ``git grep -l OLD | xargs sed -i s/OLD/NEW/g`` does."""
        for path in self.folder.rglob("*"):
            if path.is_file() and b"\0" not in path.read_bytes():
                path.write_text(re.sub(rf"\b{old}\b", new, path.read_text()))
