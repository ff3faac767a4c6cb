"""docs/adding-an-option.md, followed: its blocks are applied to a copy of the template, and the option has to work."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import cruft
import pytest
from manifest import TEMPLATE
from updates import commit, copy_template, create, files, make_update, public_answers, run

PAGE = (TEMPLATE / "docs" / "adding-an-option.md").read_text()
ENTRY: dict[str, Any] = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]
FILES: dict[str, str] = dict(re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
((NAME, OPTION),) = ENTRY["_options"].items()


def follow(template: Path) -> None:
    """Do what the page says in its first two steps."""
    path = template / "cookiecutter.json"
    manifest = json.loads(path.read_text())
    for preset, given in ENTRY["_presets"].items():
        manifest["_presets"][preset] |= given
    manifest["_options"][NAME] = OPTION
    manifest["__prompts__"] |= ENTRY["__prompts__"]
    items = list(manifest.items())
    items.insert(list(manifest).index("__prompts__"), (NAME, ENTRY[NAME]))
    path.write_text(json.dumps(dict(items), indent=2) + "\n")
    for name, content in FILES.items():
        file = template / name
        assert not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with the option, in a second commit."""
    template = copy_template(tmp_path_factory.mktemp("template"))
    follow(template)
    commit(template, "the option")
    return template


def text(service: Path) -> str:
    """All paths and all contents of a service."""
    return "\n".join(f"{name}\n{content.decode()}" for name, (content, _) in files(service).items())


def test_the_page_shows_every_kind_of_file() -> None:
    assert {"_presets", "_options", "__prompts__", NAME} == ENTRY.keys()
    assert {Path(name).name for name in FILES} == {f"{NAME}.py", f"test_{NAME}.py", f"{NAME}.md"}


def test_one_existing_file_is_edited(template: Path) -> None:
    changed = run("git", "diff", "--name-status", "HEAD~", cwd=template).stdout.splitlines()
    assert sorted(line for line in changed if not line.startswith("A\t")) == ["M\tcookiecutter.json"]
    # And there nothing but lines that are new, apart from the layout of the file and commas before them.
    before = json.loads(run("git", "show", "HEAD~:cookiecutter.json", cwd=template).stdout)
    after = json.loads((template / "cookiecutter.json").read_text())
    del after["_options"][NAME], after[NAME], after["__prompts__"][NAME], after["_presets"]["full"][NAME]
    assert list(after.items()) == list(before.items())


def test_every_field_is_explained() -> None:
    manifest = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    used = {field for option in manifest["_options"].values() for field in option}
    assert used <= explained
    # And what is explained is something that the template reads.
    read = "".join(path.read_text() for path in TEMPLATE.glob("hooks/*.py"))
    read += "".join(path.read_text() for path in TEMPLATE.glob("{{*/**/*") if path.is_file())
    read += manifest["__chosen"] + manifest["__modules"]
    read += "".join(path.read_text() for path in TEMPLATE.glob("tests/*.py") if path != Path(__file__))
    assert {field for field in explained - {"marks"} if not re.search(rf"\b{field}\b", read)} == set()


@pytest.mark.parametrize("preset", ["minimal", "full"])
def test_its_marks_come_and_go(template: Path, tmp_path: Path, preset: str) -> None:
    on = text(create(template, tmp_path / "on", preset=preset, **{NAME: "yes"}))
    off = text(create(template, tmp_path / "off", preset=preset, **{NAME: "no"}))
    assert {mark for mark in OPTION["marks"] if mark not in on} == set()
    assert {mark for mark in OPTION["marks"] if mark in off} == set()


def test_presets_answer_it(template: Path, tmp_path: Path) -> None:
    for preset, expected in (("minimal", False), ("full", True)):
        service = create(template, tmp_path, preset=preset, project_slug=preset, package_name=f"{preset}_x")
        assert (service / f"tests/extensions/test_{NAME}.py").exists() is expected


def test_a_wrong_answer_is_refused(template: Path, tmp_path: Path) -> None:
    command = ("cookiecutter", template, "--no-input", "--default-config", f"{NAME}=maybe")
    done = run(*command, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{NAME}='maybe': answer yes or no.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_service_made_before_takes_it(template: Path, tmp_path: Path) -> None:
    """A preset that grows changes no service that exists; there the option comes when it is asked for, and goes."""
    before = run("git", "rev-parse", "HEAD~", cwd=template).stdout.strip()
    service = cruft.create(
        str(template), tmp_path / "service", default_config=True, checkout=before, extra_context={"preset": "full"}
    )
    run("git", "init", "--quiet", cwd=service)
    commit(service)
    for answers, option in (("", "no"), (json.dumps({NAME: "yes"}), "yes"), (json.dumps({NAME: "no"}), "no")):
        make_update(service, answers)
        fresh = create(template, tmp_path / f"fresh{len(answers)}", preset="full", **{NAME: option})
        assert files(service) == files(fresh)
        assert public_answers(service) == public_answers(fresh)
        commit(service)


def test_its_setting_is_told(template: Path, tmp_path: Path) -> None:
    service = create(template, tmp_path, **{NAME: "yes"})
    (setting,) = OPTION["settings"]
    assert f"# {setting['help']}\n#{setting['name']}={setting['example']}\n" in (service / ".env.example").read_text()
    readme = (service / "README.md").read_text()
    assert f"| `{setting['name']}` | `{setting['example']}` | {setting['help']} |\n" in readme
    assert f"\n{FILES[f'templates/readme/{NAME}.md']}" in readme


@pytest.mark.slow
def test_the_service_with_it_works(template: Path, tmp_path: Path) -> None:
    service = create(template, tmp_path, **{NAME: "yes"})
    make = ("make", f"PYTHON={sys.executable}")
    run(*make, "lint", "types", cwd=service)
    tests = run(*make, "test", "ARGS=-v", cwd=service).stdout
    assert f"tests/extensions/test_{NAME}.py::test_{NAME} PASSED" in tests
    routes = run(".venv/bin/python", "-m", "flask_service", "routes", cwd=service, APP_ENV="development").stdout
    assert re.search(rf"^{NAME}\.{NAME} +GET +/{NAME} *$", routes, re.MULTILINE)
