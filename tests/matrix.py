"""Cases of a test that are alike: ``make quick`` runs few of them, ``make test`` some, ``make prove`` the others."""

from collections.abc import Iterable
from typing import Any

import pytest


def marked(case: Any, mark: pytest.MarkDecorator) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else [case]), marks=mark)


def some(cases: Iterable[Any], *chosen: Any) -> list[Any]:
    """The cases, of which all but the chosen ones are part of ``make prove`` alone."""
    cases = list(cases)
    assert all(case in cases for case in chosen), f"{chosen} are not all in {cases}"
    return [case if case in chosen else marked(case, pytest.mark.prove) for case in cases]


def few(cases: Iterable[Any], count: int) -> list[Any]:
    """The cases, for ``parametrize`` or ``params``: those after the first ones are slow, because together they are."""
    return [case if place < count else marked(case, pytest.mark.slow) for place, case in enumerate(cases)]
