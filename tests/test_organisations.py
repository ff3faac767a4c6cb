"""docs/organisations.md, followed: its blocks are executed as they are written."""

import json
import re
from pathlib import Path

import pytest
from manifest import TEMPLATE
from test_readme import blocks
from updates import commit, copy_template, create, files, run

PAGE = (TEMPLATE / "docs/organisations.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return copy_template(tmp_path / "template")


def test_defaults_of_an_organisation(template: Path, tmp_path: Path) -> None:
    config = tmp_path / "cookiecutterrc"
    (block,) = blocks(section("Answers that are the same everywhere"), "yaml")
    folders = f"\ncookiecutters_dir: {tmp_path / 'cookiecutters'}\nreplay_dir: {tmp_path / 'replay'}\n"
    config.write_text(block + folders)
    out = tmp_path / "out"
    run("cruft", "create", template, "--no-input", "--output-dir", out, cwd=tmp_path, COOKIECUTTER_CONFIG=str(config))
    answers = json.loads((out / "flask-service/.cruft.json").read_text())["context"]["cookiecutter"]
    for name, answer in re.findall(r"^  (\w+): \"?(.*?)\"?$", block, re.MULTILINE):
        assert answers[name] == answer
    run("cruft", "create", template, "--no-input", "--default-config", "--output-dir", out / "2", cwd=tmp_path)
    assert files(out / "2/flask-service") == files(create(template, tmp_path / "plain"))


def test_services_by_script(template: Path, tmp_path: Path) -> None:
    make, first_commit = blocks(section("Make services by script"))
    out = tmp_path / "out"
    out.mkdir()
    run("sh", "-ec", make, cwd=out, TEMPLATE=str(template))
    assert (out / "orders/.cruft.json").exists()
    assert "PyMySQL" in (out / "orders/pyproject.toml").read_text()
    run("sh", "-ec", first_commit, cwd=out / "orders")
    assert not run("git", "status", "--porcelain", cwd=out / "orders").stdout


@pytest.mark.slow
def test_many_services_are_updated(template: Path, tmp_path: Path) -> None:
    """Of three services one takes a change, one has the same line changed, and one has it already."""
    readme = template / "{{cookiecutter.project_slug}}/README.md"
    for name in ("changed", "conflict", "current"):
        if name == "current":
            readme.write_text(readme.read_text().replace("are all it needs", "are all that it needs"))
            commit(template, "a change")
        service = create(template, tmp_path / "made", project_name=name, package_name=f"{name}_x")
        run("git", "init", "--quiet", cwd=service)
        if name == "conflict":
            commit(service)
            own = service / "README.md"
            own.write_text(own.read_text().replace("are all it needs", "are what it needs"))
        commit(service)
        run("git", "clone", "--quiet", "--bare", service, tmp_path / f"{name}.git", cwd=tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    (work / "services.txt").write_text(
        "".join(f"{tmp_path}/{name}.git\n" for name in ("changed", "conflict", "current"))
    )
    (block,) = blocks(section("Update fifty services"))
    done = run("bash", "-c", block, cwd=work)
    assert done.stdout == "changed: done\nconflict: see conflict.log\ncurrent: done\n", (
        work / "changed.log"
    ).read_text()
    branches = {
        name: run("git", "branch", "--list", "template-update", cwd=tmp_path / f"{name}.git").stdout
        for name in ("changed", "conflict", "current")
    }
    assert [name for name, branch in branches.items() if branch] == ["changed"]
    shown = run("git", "show", "template-update:README.md", cwd=tmp_path / "changed.git").stdout
    assert "are all that it needs" in shown
    assert "README.md" in (work / "conflict.log").read_text()
