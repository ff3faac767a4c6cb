"""The tests that services bring: in any order, with no server but one, and of all that the template brings."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Service
from manifest import TREE, tree_files
from owned import Owned

#: Of all of core and extensions, percent of the lines and branches that run in tests.
COVERED = 90


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("preset", ["minimal", "full"])
def test_any_order(preset: str, seed: int, bake: Callable[..., Service], tmp_path: Path) -> None:
    Owned(bake(preset=preset), tmp_path / "service").test(f"--random-order-seed={seed}")


@pytest.mark.slow
def test_coverage(bake: Callable[..., Service], tmp_path: Path) -> None:
    """A service asks coverage of its owner's code; here it is asked of the rest, without what runs in other processes."""
    (tmp_path / "config").write_text("[run]\nbranch = true\n[report]\nskip_covered = true\n")
    arguments = ["--cov=flask_service.core", "--cov=flask_service.extensions", f"--cov-config={tmp_path / 'config'}"]
    service = Owned(bake(preset="full"), tmp_path / "service")
    printed = service.test(*arguments, "--cov-report=term-missing", f"--cov-fail-under={COVERED}")
    print(printed[printed.index("Name") :])


def test_one_test_starts_the_server() -> None:
    """What starts servers or other processes is tested here, once, and not in every service on every change."""
    texts = {path: (TREE / path).read_text() for path in tree_files() if re.search(r"^tests/.*test_\w+\.py$", path)}
    starting = [path for path, text in texts.items() if re.search(r"\bsubprocess\b|\bserve\(", text)]
    assert starting == ["tests/test_app.py", "tests/test_imports.py"]
