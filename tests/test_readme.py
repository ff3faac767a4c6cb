"""The READMEs are true: their commands are executed as they are written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browsing import digest_of_pages
from manifest import MANIFEST, OPTIONS, PRESETS, QUESTIONS, TEMPLATE, default
from running import INSTALL_SECONDS, clean_environment, free_port, required_names, required_settings, run, serving

README = TEMPLATE / "README.md"


def blocks(text: str, language: str = "sh") -> list[str]:
    """The fenced code blocks of a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def options_table() -> str:
    """The table of the README, made from the manifest."""
    lines = [
        "| Question | Answer | " + " | ".join(PRESETS) + " | What it brings |",
        "| --- " * (len(PRESETS) + 3) + "|",
    ]
    for question, answers in QUESTIONS.items():
        for answer in answers:
            if answer in ("no", "none"):
                continue
            name = question if answer == "yes" else answer
            marks = " | ".join("✓" if default(question, preset) == answer else "" for preset in PRESETS)
            lines.append(f"| `{question}` | `{answer}` | {marks} | {OPTIONS[name]['description']} |")
    return "\n".join(lines)


def test_the_table_of_options_is_that_of_the_manifest() -> None:
    text = README.read_text()
    written = re.sub(
        r"(<!-- options: .*?-->\n).*?(<!-- end -->)", rf"\1\n{options_table()}\n\n\2", text, flags=re.DOTALL
    )
    if os.environ.get("UPDATE_GOLDEN"):
        README.write_text(written)
    assert README.read_text() == written, "UPDATE_GOLDEN=1 make quick writes the table"


def test_every_preset_and_question_is_named() -> None:
    text = README.read_text()
    assert not [name for name in MANIFEST if not name.startswith("_") and f"`{name}`" not in text and name != "preset"]


def test_the_picture_of_the_questions_shows_all_of_them() -> None:
    count = sum(not name.startswith("_") for name in MANIFEST)
    assert f"[{count}/{count}]" in (TEMPLATE / "docs/images/questions.svg").read_text(), "make pictures takes it again"


def test_the_pictures_of_pages_show_what_there_is() -> None:
    known = (TEMPLATE / "docs/images/pages.sha256").read_text().strip()
    assert known == digest_of_pages(), "make pictures takes them again"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "make test\n" in blocks(README.read_text())
    assert "\nmake test\n" in (TEMPLATE / ".ci/run").read_text()


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the work tree in a new folder, as a fresh clone has them."""
    folder = tmp_path_factory.mktemp("clone")
    files = run(TEMPLATE, "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    present = [name for name in files if name and (TEMPLATE / name).exists()]
    archive = subprocess.run(["tar", "-c", *present], cwd=TEMPLATE, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    return folder


@pytest.mark.slow
def test_make_run_starts_a_service_to_try(clone: Path, tmp_path: Path) -> None:
    """``make run`` in a fresh clone, with nothing but what a new user has, and then what it says to try."""
    assert "make run\n" in blocks(README.read_text())
    path = ":".join(folder for folder in os.environ["PATH"].split(":") if ".venv" not in folder)
    with serving(clone, tmp_path / "log", ["make", "run"], INSTALL_SECONDS, PATH=path) as server:
        assert b"service" in server.get("/")[1]
        assert server.get("/nothing-here")[0] == 404
        printed = server.log.read_text()
    assert server.url in printed


#: Of these, all tests run too; those of ``full`` run in test_pythons.py. ``make prove`` runs those of all presets.
WHOLE = ["minimal", "api"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "check"),
    [
        *((preset, ["check"] if preset in WHOLE else ["lint", "types"]) for preset in PRESETS),
        *(pytest.param(preset, ["check"], marks=pytest.mark.prove) for preset in PRESETS if preset not in WHOLE),
    ],
)
def test_the_readme_of_a_service(preset: str, check: list[str], bake: Any, tmp_path: Path) -> None:
    """The route is added as written and tested; the deployment is done as written and serves."""
    service: Path = bake(preset=preset, project_name="Orders").path
    text = (service / "README.md").read_text()
    route, test = blocks(text, "python")[:2]
    with (service / "src/orders/blueprints/main.py").open("a") as module:
        module.write(f"\n\n{route}")
    with (service / "tests/blueprints/test_main.py").open("a") as module:
        module.write(f"\n\n{test}")
    run(service, "make", *check)
    assert "test_hello" in run(service, "make", "test", "ARGS=-v tests/blueprints/test_main.py")

    deploy = next(block for block in blocks(text) if "pip install" in block)
    settings = required_settings(service)
    for name, value in settings.items():
        # A secret is made as written; what is an example there stands for a server of ours.
        deploy = re.sub(rf"^export {name}=(?!\$).*", f"export {name}={value}", deploy, flags=re.MULTILINE)
    run(tmp_path, "uv", "venv", "--seed", "deployed")
    path = f"{tmp_path / 'deployed/bin'}:{os.environ['PATH']}"
    assert settings
    with serving(
        service,
        tmp_path / "log",
        ["sh", "-ec", re.sub("^python(?=.* serve$)", "exec python", deploy, flags=re.MULTILINE)],
        INSTALL_SECONDS,
        # Python compiles what it imports; pip would compile all that is installed.
        **settings | {"PATH": path, "PIP_NO_COMPILE": "1"},
    ) as server:
        status, body = server.get("/hello/you")
        assert (status, json.loads(body)) == (200, {"hello": "you"})
    assert server.process.returncode == 0


def test_commands_are_found_in_a_fresh_shell(render: Any) -> None:
    """Nothing is activated there: a command of the environment is named by its path."""
    text = render(preset="full").read("README.md")
    assert ".venv/bin/flask " in text
    assert re.findall(r"(?:^|[`$(;|&] ?)(?:flask|mypy|pytest|python tools|ruff|uvx?) .*", text, re.MULTILINE) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_the_commands_of_make_exist(preset: str, render: Any) -> None:
    service = render(preset=preset)
    files = "\n".join(service.read(name) for name in service.files if name == "Makefile" or name.endswith(".mk"))
    targets = {*re.findall(r"^([a-z]+):", files, re.MULTILINE)}
    named = {*re.findall(r"(?:^|`|=\S* )make ([a-z]+)", service.read("README.md"), re.MULTILINE)}
    assert {"run", "test", "check"} <= named <= targets


def test_production_names_all_that_is_missing(bake: Any) -> None:
    service: Path = bake(preset="full").path
    done = subprocess.run(
        [sys.executable, "-m", "flask_service", "serve"],
        cwd=service,
        env=clean_environment(PORT=str(free_port()), PYTHONPATH="src", PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert all(name in done.stderr for name in required_names(service))
    assert "Traceback" not in done.stderr
