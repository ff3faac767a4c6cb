"""What ``make test SINCE=main`` takes for a change of what."""

import copy
from typing import Any

import pytest
from manifest import MANIFEST, TREE
from since import concerned, configurations

SOURCES = f"{TREE.name}/src/{{{{cookiecutter.package_name}}}}"


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (f"{SOURCES}/extensions/metrics/alerts.py", {"metrics"}),
        (f"{SOURCES}/blueprints/example/api/store/sqlalchemy.py", {"example", "api", "store", "sqlalchemy"}),
        (f"{TREE.name}/compose/postgresql.yaml", {"container", "postgresql"}),
        (f"{TREE.name}/tests/core/test_logs.py", None),
        (f"{SOURCES}/__init__.py", None),
        ("tests/running.py", None),
        ("pyproject.toml", None),
        ("hooks/post_gen_project.py", None),
    ],
)
def test_a_file_concerns_its_owners(path: str, options: set[str] | None) -> None:
    assert concerned([path], MANIFEST, MANIFEST) == (None if options is None else {frozenset(options)})


def test_tests_and_pages_concern_no_service() -> None:
    assert concerned(["tests/test_api.py", "docs/core.md", "CHANGELOG.md"], MANIFEST, MANIFEST) == set()


def changed(*place: str, value: Any) -> dict[str, Any]:
    manifest = copy.deepcopy(MANIFEST)
    part = manifest
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    return manifest


@pytest.mark.parametrize(
    ("place", "options"),
    [
        (("_options", "sentry", "description"), [{"sentry"}]),
        (("_presets", "api", "sentry"), [{"sentry"}]),
        (("__prompts__", "server"), [{"granian"}, {"gunicorn"}]),
        (("_options", "core", "description"), None),
        (("_jinja2_env_vars",), None),
        (("project_name",), None),
    ],
)
def test_an_entry_of_the_manifest_concerns_its_option(place: tuple[str, ...], options: list[set[str]] | None) -> None:
    expected = None if options is None else {frozenset(names) for names in options}
    assert concerned(["cookiecutter.json"], MANIFEST, changed(*place, value="x")) == expected


def test_parameters_tell_what_a_test_is_about() -> None:
    (minimal,) = configurations({"preset": "minimal", "version": "3.13"})
    (answered,) = configurations({"answers": {"preset": "minimal", "metrics": "yes"}, "other": {"a": "b"}})
    assert answered - minimal == {"metrics", "version"}
