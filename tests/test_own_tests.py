"""The tests that services bring: in any order, and with no server but one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Service
from manifest import TREE, tree_files
from owned import Owned


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("preset", ["minimal", "full"])
def test_any_order(preset: str, seed: int, bake: Callable[..., Service], tmp_path: Path) -> None:
    Owned(bake(preset=preset), tmp_path / "service").test(f"--random-order-seed={seed}")


def test_one_test_starts_the_server() -> None:
    """What starts servers or other processes is tested here, once, and not in every service on every change."""
    texts = {path: (TREE / path).read_text() for path in tree_files() if re.search(r"^tests/.*test_\w+\.py$", path)}
    starting = [path for path, text in texts.items() if re.search(r"\bsubprocess\b|\bserve\(", text)]
    assert starting == ["tests/test_app.py", "tests/test_imports.py"]
