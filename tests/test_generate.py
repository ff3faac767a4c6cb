"""generate.py: services by script, with no answer passed over."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from manifest import MANIFEST, TEMPLATE
from matrix import few
from updates import copy_template, public_answers, record, run

ASKED = ", ".join(name for name in MANIFEST if not name.startswith("_"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_template(tmp_path_factory.mktemp("template"))


def generate(folder: Path, *arguments: str | Path, template: Path = TEMPLATE) -> subprocess.CompletedProcess[str]:
    home = str(folder.parent)
    return run(sys.executable, template / "generate.py", *arguments, cwd=folder, check=False, HOME=home)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def refused(out: Path, *arguments: str | Path) -> list[str]:
    before = sorted(out.iterdir())
    done = generate(out, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert sorted(out.iterdir()) == before
    return done.stderr.splitlines()


def written(out: Path, text: str) -> Path:
    path = out.parent / "answers.json"
    path.write_text(text)
    return path


def test_unknown_questions(out: Path) -> None:
    """All are told at once, with the nearest known one."""
    file = written(out, '{"project-name": "Orders", "_options": {}}')
    assert refused(out, "metrcs=yes", "Metrics=yes", file, "qqq=1", "preset=api") == [
        "metrcs: the template asks no such question, did you mean metrics?",
        "Metrics: the template asks no such question, did you mean metrics?",
        "project-name: the template asks no such question, did you mean project_name?",
        f"_options: the template asks no such question, the questions are {ASKED}.",
        f"qqq: the template asks no such question, the questions are {ASKED}.",
    ]


@pytest.mark.parametrize(
    ("answers", "line"),
    few(
        [
            ('{"description": null}', "description=null: write a text, in quotes."),
            ('{"description": true}', "description=true: write a text, in quotes."),
            ('{"sql": false}', "sql=false: write a text, in quotes."),
            ('{"api": ["yes", "no"]}', 'api=["yes", "no"]: write a text, in quotes.'),
            ('{"api": {}}', "api={}: write a text, in quotes."),
            ('{"python_version": 3.10}', "python_version='3.10': answer 3.13, 3.12, 3.11 or 3.14."),
            ('{"metrics": "maybe"}', "metrics='maybe': answer yes or no."),
            (
                '{"description": "{{ 7 }}"}',
                "description='{{ 7 }}': leave out double braces, brace-percent and brace-hash,",
            ),
        ],
        3,
    ),
)
def test_wrong_answers(out: Path, answers: str, line: str) -> None:
    (told,) = refused(out, written(out, answers))
    assert told.startswith(line)


@pytest.mark.parametrize("text", few(["[]", "7", "metrics: yes", ""], 1))
def test_a_file_that_is_no_object(out: Path, text: str) -> None:
    file = written(out, text)
    assert refused(out, file) == [f'{file} is no object in JSON, such as {{"metrics": "yes"}}']


def test_files_and_folders_in_the_way(out: Path) -> None:
    (line,) = refused(out, "nothing.json")
    assert "nothing.json" in line
    (out / "orders").mkdir()
    (line,) = refused(out, "project_name=Orders")
    assert "orders" in line
    assert "already exists" in line


def test_what_was_meant(template: Path, out: Path) -> None:
    """Values of JSON and texts are taken as they are, and the last answer wins."""
    hostile = 'a "b" }} %} \\n #} {x} 🚀 \\U0001f680 $HOME'
    answers = {"description": hostile, "metrics": True, "example": False, "preset": "api", "project_name": 7, "ci": "x"}
    file = written(out, json.dumps(answers | {"python_version": 3.12}))
    done = generate(out, file, "ci=none", "--output-dir", out / "deep", "author_name==x=", template=template)
    assert (done.returncode, done.stderr) == (0, "")
    made = public_answers(out / "deep/service")
    assert {name: made[name] for name in ("description", "metrics", "example", "preset", "project_name", "ci")} == {
        **answers,
        "metrics": "yes",
        "example": "no",
        "project_name": "7",
        "ci": "none",
    }
    assert (made["python_version"], made["author_name"], made["sql"]) == ("3.12", "=x=", "postgresql")


@pytest.mark.slow
def test_the_address_that_is_recorded(template: Path, out: Path) -> None:
    generate(out, "project_name=one", template=template)
    assert record(out / "one")["template"] == str(template)
    address = ("--template", "https://me:S3cr3t@git.example.com/template.git")
    done = generate(out, "project_name=two", *address, template=template)
    assert done.returncode == 0
    made = record(out / "two")
    assert made["template"] == made["context"]["cookiecutter"]["_template"] == "https://git.example.com/template.git"
    assert made["commit"] == record(out / "one")["commit"]
