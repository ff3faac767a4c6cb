"""The renderer of these tests makes what cookiecutter makes; with it, every change of an answer is proven."""

from collections.abc import Callable

import pytest
from conftest import Service
from manifest import PRESETS
from matrix import few
from test_pairs import NAMES, ROWS
from updates import starting_from, toggles

CASES = {preset: {"preset": preset} for preset in PRESETS} | dict(zip(NAMES, ROWS, strict=True))


def without_record(service: Service) -> dict[str, str]:
    return {path: text for path, text in service.texts.items() if path != ".cruft.json"}


@pytest.mark.parametrize("answers", few(CASES.values(), 8), ids=CASES.keys())
def test_it_makes_what_cookiecutter_makes(
    answers: dict[str, str], bake: Callable[..., Service], render: Callable[..., Service]
) -> None:
    assert render(**answers).texts == without_record(bake(**answers))
    assert render(**answers).chosen == bake(**answers).chosen


def public(service: Service) -> dict[str, str]:
    return {name: answer for name, answer in service.answers.items() if name[0] != "_"}


@pytest.mark.parametrize(("preset", "question", "now", "other"), list(toggles()))
def test_recorded_answers_and_a_change_make_the_same_as_new_answers(
    render: Callable[..., Service], preset: str, question: str, now: str, other: str
) -> None:
    """There and back: recorded answers are whole, and no answer depends on one that came before."""
    start = starting_from(preset, question, other)
    before, fresh = render(**start, **{question: now}), render(**start, **{question: other})
    there = render(**public(before) | {question: other})
    back = render(**public(there) | {question: now})
    assert there.texts == fresh.texts != before.texts == back.texts
    assert (public(there), public(back)) == (public(fresh), public(before))
