from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def module(package: ModuleType) -> ModuleType:
    return import_module(".extensions.version", package.__name__)


@pytest.mark.parametrize("files", ["PACKAGE/__init__.py,,\nPACKAGE/wsgi.py,,\n", "other,,\nPACKAGE.pth,,\n"])
def test_the_version_that_was_installed(
    module: ModuleType, package: ModuleType, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a name that is not that of the package, with its files or, to be edited, with a path to them."""
    folder = tmp_path / "other_name-7.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: other-name\nVersion: 7.0\n")
    (folder / "RECORD").write_text(files.replace("PACKAGE", package.__name__))
    monkeypatch.syspath_prepend(tmp_path)
    assert module.installed_version.__wrapped__() == "7.0"


def test_what_is_not_installed(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "__name__", "nowhere_installed.version")
    assert module.installed_version.__wrapped__() is None
