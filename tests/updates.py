"""Services that live on after generation: committed in a git repository, and updated there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cookiecutter.main import cookiecutter
from manifest import OPTIONS, QUESTIONS, TEMPLATE, answers_of, chosen

BIN = Path(sys.executable).parent
#: Git as on any machine: nothing of the caller's repository, and somebody who commits.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "MAKE", "MFLAGS"))},
    **{f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "PATH": f"{BIN}:{os.environ['PATH']}",
}


def run(*command: str | Path, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command; show its output if it fails, unless failing is what is tested."""
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT | environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0 or not check, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def commit(folder: Path, message: str = "mine") -> None:
    run("git", "add", "--all", "--force", ".", ":!.venv", cwd=folder)
    run("git", "commit", "--quiet", "--allow-empty", "--message", message, cwd=folder)


def copy_template(folder: Path) -> Path:
    """Copy the template as it lies in the work tree, committed or not, into a repository of its own."""
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TEMPLATE).stdout
    for name in names.split("\0"):
        if name and (TEMPLATE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, folder / name)
    run("git", "init", "--quiet", cwd=folder)
    commit(folder)
    return folder


def create(template: Path | str, folder: Path, checkout: str | None = None, **answers: str) -> Path:
    """Make a service as ``cookiecutter`` does, in this process because it is faster."""
    with TemporaryDirectory() as own:
        made = cookiecutter(
            str(template),
            checkout,
            no_input=True,
            extra_context=answers,
            output_dir=str(folder),
            # Nothing of the user's configuration, and nothing written into it.
            default_config={"replay_dir": own, "cookiecutters_dir": own},  # type: ignore[arg-type]
        )
    return Path(made)


def create_committed(template: Path, folder: Path, **answers: str) -> Path:
    service = create(template, folder, **answers)
    run("git", "init", "--quiet", cwd=service)
    commit(service, "as generated")
    return service


def make_update(
    service: Path, answers: str = "", check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    arguments = [f"ANSWERS={answers}"] if answers else []
    return run("make", "update", f"PYTHON={sys.executable}", *arguments, cwd=service, check=check, **environment)


def update(service: Path, template: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what ``make update`` runs, with the template itself instead of a clone."""
    command = [sys.executable, template / "update.py", template, *options]
    return run(*command, cwd=service, check=False, **environment)


def files(service: Path) -> dict[str, tuple[bytes, bool]]:
    """What a service consists of: each file with its content, and whether it can be executed."""
    return {
        str(path.relative_to(service)): (path.read_bytes(), os.access(path, os.X_OK))
        for path in service.rglob("*")
        if path.is_file() and not {".git", ".venv", ".cruft.json"} & set(path.relative_to(service).parts)
    }


def record(service: Path) -> dict[str, Any]:
    """What a service records of its template."""
    made: dict[str, Any] = json.loads((service / ".cruft.json").read_text())
    return made


def public_answers(service: Path) -> dict[str, str]:
    """The public answers that a service records."""
    context = record(service)["context"]["cookiecutter"]
    return {name: answer for name, answer in context.items() if not name.startswith("_")}


def starting_from(preset: str, question: str, answer: str) -> dict[str, str]:
    """Answers that are near to a preset's and with which this question can have this answer and any other."""
    answers: dict[str, str] = {"preset": preset}
    for option in chosen(answers_of(preset) | answers | {question: answer}):
        names = chosen(answers_of(preset) | answers | {question: answer})
        missing = {name: way for name, way in OPTIONS[option].get("needs", {}).items() if name not in names}
        excluded = {name: way for name, way in OPTIONS[option].get("excludes", {}).items() if name in names}
        for suggestion in (missing | excluded).values():
            asked = OPTIONS[option].get("question", option)
            if asked == question:
                answers |= dict([suggestion.split(",")[0].split(" ")[0].split("=")])
            else:
                answers[asked] = "no" if "no" in QUESTIONS[asked] else "none"
    return answers


def toggles() -> Iterator[Any]:
    """Every change of one answer, from both ends of the presets: preset, question, from, to."""
    for preset in ("minimal", "full"):
        for question, allowed in QUESTIONS.items():
            now = answers_of(preset)[question]
            for other in allowed:
                if other != now:
                    yield preset, question, now, other
