"""The bounds of the manifest hold: the newest versions that they allow, and the lowest, pass the tests of services."""

import re
from collections.abc import Callable

import pytest
from conftest import Service
from manifest import MANIFEST, OPTIONS, PRESETS, QUESTIONS
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from running import run
from updates import starting_from

#: The presets, and what none of them chooses.
SERVICES = {preset: {"preset": preset} for preset in PRESETS} | {
    f"{question}={answer}": starting_from("full", question, answer) | {question: answer}
    for question in sorted(QUESTIONS.keys() & MANIFEST["_answers"].keys())
    for answer in QUESTIONS[question]
    if answer not in {"none", *(preset.get(question) for preset in PRESETS.values())}
}


@pytest.mark.slow
@pytest.mark.prove
@pytest.mark.parametrize("resolution", ["highest", "lowest-direct"])
@pytest.mark.parametrize("name", SERVICES)
def test_its_own_tests_pass(name: str, resolution: str, bake: Callable[..., Service]) -> None:
    service = bake(**SERVICES[name], project_name=f"Resolved {resolution}")
    passed = run(service.path, "make", "upgrade", "test", "ARGS=-q", UV_RESOLUTION=resolution)
    assert re.search(r"\d+ passed", passed)
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (service.path / "requirements.txt").read_text(), re.MULTILINE))
    required = [Requirement(line) for option in sorted(service.chosen) for line in OPTIONS[option].get("requires", [])]
    lowest = [
        line
        for line in required
        for bound in line.specifier
        if bound.operator == ">=" and Version(bound.version) == Version(pinned[canonicalize_name(line.name)])
    ]
    print(f"{len(lowest)} of {len(required)} at their lower bound")
    # Those above have bounds of their own that are higher, or this Python is too new for them.
    assert resolution == "highest" or len(lowest) > len(required) / 2
