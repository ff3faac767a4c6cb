"""docs/organisations.md, followed: its blocks are executed as they are written."""

import json
import re
import sys
from pathlib import Path

import pytest
from manifest import TEMPLATE
from test_readme import blocks
from updates import commit, copy_template, create, files, public_answers, record, run

PAGE = (TEMPLATE / "docs/organisations.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return copy_template(tmp_path / "template")


@pytest.mark.slow
def test_defaults_of_an_organisation(template: Path, tmp_path: Path) -> None:
    config = tmp_path / "cookiecutterrc"
    (block,) = blocks(section("Answers that are the same everywhere"), "yaml")
    folders = f"\ncookiecutters_dir: {tmp_path / 'cookiecutters'}\nreplay_dir: {tmp_path / 'replay'}\n"
    config.write_text(block + folders)
    out = tmp_path / "out"
    command = ("cookiecutter", template, "--no-input", "--output-dir")
    run(*command, out, cwd=tmp_path, COOKIECUTTER_CONFIG=str(config))
    answers = public_answers(out / "flask-service")
    for name, answer in re.findall(r"^  (\w+): \"?(.*?)\"?$", block, re.MULTILINE):
        assert answers[name] == answer
    run(*command, out / "2", "--default-config", cwd=tmp_path, COOKIECUTTER_CONFIG=str(config))
    assert files(out / "2/flask-service") == files(create(template, tmp_path / "plain"))
    # YAML has values that are no text.
    config.write_text(f"default_context:\n  api: yes\n{folders}")
    done = run(*command, out / "3", cwd=tmp_path, check=False, COOKIECUTTER_CONFIG=str(config))
    assert done.stderr == 'api=true: write a text, in quotes, such as "yes".\n'


@pytest.mark.slow
def test_services_by_script(template: Path, tmp_path: Path) -> None:
    make, first_commit = blocks(section("Make services by script"))
    (unknown,) = blocks(section("Make services by script"), "text")
    out = tmp_path / "out"
    out.mkdir()
    run("sh", "-ec", make, cwd=out, TEMPLATE=f"file://{template}")
    assert "PyMySQL" in (out / "orders/pyproject.toml").read_text()
    assert public_answers(out / "orders")["author_name"] == "Payments"
    run("sh", "-ec", first_commit, cwd=out / "orders")
    assert not run("git", "status", "--porcelain", cwd=out / "orders").stdout
    # The clone is not needed by the service.
    assert record(out / "orders")["template"] == f"file://{template}"
    done = run(sys.executable, out / "template/generate.py", "metrcs=yes", cwd=out, check=False)
    assert done.stderr == unknown


@pytest.mark.slow
def test_which_services_are_behind(template: Path, tmp_path: Path) -> None:
    """Of three services one is up to date, one has a broken record, and one has changed a line that has changed."""
    readme = "{{cookiecutter.project_slug}}/README.md"
    for name in ("behind", "broken", "current"):
        if name == "current":
            text = (template / readme).read_text()
            (template / readme).write_text(text.replace("are all it needs", "are all that it needs"))
            commit(template, "a change")
        service = create(template, tmp_path, project_name=name, package_name=f"{name}_x")
        run("git", "init", "--quiet", cwd=service)
        if name == "behind":
            own = service / "README.md"
            own.write_text(own.read_text().replace("are all it needs", "are what it needs"))
        commit(service)
    (tmp_path / "broken/.cruft.json").write_text("[]")
    run("mv", "template", "elsewhere", cwd=tmp_path)
    (block,) = blocks(section("See which of fifty services are behind"))
    done = run("sh", "-ec", block, cwd=tmp_path, TEMPLATE=str(tmp_path / "elsewhere"))
    assert ".cruft.json is broken" in done.stderr
    assert done.stderr.endswith("broken/.cruft.json: not checked\n")
    behind, current = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    (shown,) = blocks(section("See which of fifty services are behind"), "json")
    assert behind.keys() == current.keys() == json.loads(shown).keys()
    assert (behind["service"], behind["behind"], behind["conflicts"]) == ("behind", 1, ["README.md"])
    assert (current["service"], current["behind"], current["files"]) == ("current", 0, [])


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
