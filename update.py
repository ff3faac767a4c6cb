"""Update a service: the difference between what this template made of it and what it makes of it now is merged.

`make update` in a service clones the template and runs this in the service's folder. `cruft update` is not used,
because it passes over files that were renamed or deleted, and gives up merging when one file cannot be merged.

Usage: update.py TEMPLATE, with the changed answers as JSON in the variable ANSWERS
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import cruft
from click import ClickException
from cookiecutter.exceptions import CookiecutterException

RECORD = Path(".cruft.json")


def main(template: Path) -> None:
    """Merge into the service in the current folder. What is merged is staged, and not committed."""
    check_work_tree()
    try:
        made: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
        answers = {name: answer for name, answer in made["context"]["cookiecutter"].items() if name[0] != "_"}
    except (KeyError, ValueError) as error:
        stop(f"{RECORD} is broken: {error!r}")
    asked = read_answers()
    with TemporaryDirectory() as folder:
        old = generate(template, Path(folder, "old"), made["commit"], answers)
        # A question that is new is answered as in the smallest preset, so that nothing comes unasked.
        new = generate(template, Path(folder, "new"), "HEAD", answers | {"preset": "minimal"} | asked)
        record(made, new / RECORD, asked)
        (old / RECORD).write_bytes(RECORD.read_bytes())
        before = snapshot(old, "the template before")
        now = snapshot(new, "the template now", "-p", before)
    if not git("diff", "--name-only", before, now):
        print("There is nothing to update.")
        return
    merge(before, now)
    print(git("--no-pager", "diff", "--cached", "--stat"))
    print("Merged, not committed: look at git diff --cached, run make check, then git add --all && git commit.")


def check_work_tree() -> None:
    if git("rev-parse", "--is-inside-work-tree", check=False) != "true":
        stop("Make this a git repository and commit first.")
    # Of the whole repository, which may hold more than this service: giving up resets all of it.
    changed = git("status", "--porcelain", "--untracked-files=no", ":/").splitlines()
    changed += git("status", "--porcelain", "--untracked-files=normal", ".").splitlines()
    if changed:
        stop("Commit or stash these changes first:", *dict.fromkeys(changed))


def read_answers() -> dict[str, str]:
    try:
        asked = json.loads(os.environ.get("ANSWERS") or "{}")
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        stop("""ANSWERS is an object in JSON, such as ANSWERS='{"metrics": "yes"}'""")
    if "preset" in asked or any(name.startswith("_") for name in asked):
        stop("A preset is for services that are new: answer the questions themselves.", "Nothing was changed.")
    return asked


def generate(template: Path, folder: Path, commit: str, answers: dict[str, str]) -> Path:
    """Make the service as one commit of the template makes it. A hook that refuses an answer has said why."""
    folder.mkdir()
    try:
        return cruft.create(str(template), folder, default_config=True, extra_context=answers, checkout=commit)
    except (ClickException, CookiecutterException, OSError, ValueError) as error:
        # A hook that refused a slug with a path in it has removed the folder, which cruft then misses.
        told = isinstance(error, FileNotFoundError) or "Hook" in str(error)
        stop(*([] if told else [str(error)]), "Nothing was changed.")


def record(made: dict[str, Any], path: Path, asked: dict[str, str]) -> None:
    """Write what the service records of its template: where it lies, its commit, and the answers."""
    new = json.loads(path.read_text(encoding="utf-8"))
    context = new["context"]["cookiecutter"]
    if unknown := sorted(asked.keys() - context.keys()):
        stop(f"The template asks no {' and no '.join(unknown)}.", "Nothing was changed.")
    context["preset"] = made["context"]["cookiecutter"]["preset"]
    context["_template"] = made["template"]
    written = made | {"commit": new["commit"], "context": new["context"], "checkout": None}
    path.write_text(json.dumps(written, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def snapshot(folder: Path, message: str, *options: str) -> str:
    """Store a folder's files as a commit of the service's repository, on no branch."""
    environment = {
        "GIT_DIR": git("rev-parse", "--absolute-git-dir"),
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(folder.parent / "index"),
    } | {f"GIT_{who}_{what}": "template" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    git("add", "--all", "--force", ".", cwd=folder, **environment)
    tree = git("write-tree", **environment)
    return git("commit-tree", tree, "-m", message, *options, **environment)


def merge(before: str, now: str) -> None:
    """Merge as git does with a branch: edits, renames and deletions on either side are seen."""
    added = git("diff", "--name-only", "--no-renames", "--diff-filter=A", before, now).splitlines()
    if lost := [name for name in added if Path(name).exists() and not git("ls-files", "--", name)]:
        stop("Move these files, which git ignores and the update would replace:", *lost)
    prefix = git("rev-parse", "--show-prefix")
    subtree = ["-X", f"subtree={prefix}"] if prefix else []
    done = subprocess.run(
        ["git", "cherry-pick", "--no-commit", *subtree, now], capture_output=True, text=True, check=False
    )
    unmerged: dict[str, set[str]] = {}
    for line in git("ls-files", "--unmerged").splitlines():
        entry, _, name = line.partition("\t")
        unmerged.setdefault(name, set()).add(entry.split()[2])
    # Of the three versions, the template's is missing: there is nothing with markers in it to look for.
    deleted = {name for name, versions in unmerged.items() if versions == {"1", "2"}}
    rejected = git("diff", "--name-only", "--relative", "HEAD", "--", "*.rej").splitlines()
    marked = [
        line.split(":")[0]
        for line in git("diff", "--relative", "--check", "HEAD", check=False).splitlines()
        if line.endswith("leftover conflict marker")
    ]
    if left := sorted({*unmerged, *rejected, *marked}):
        notes = dict.fromkeys(deleted, " (deleted by the template, changed by you: git rm it, or git add to keep it)")
        listed = [f"{name}{notes.get(name, '')}" for name in left]
        stop("Resolve the conflicts in these files, then commit; or give up: git reset --hard", *listed)
    if done.returncode != 0:
        stop("The update could not be merged:", done.stderr.strip())


def git(*arguments: str, cwd: Path | None = None, check: bool = True, **environment: str) -> str:
    """Run git, and return what it prints."""
    command = ["git", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, encoding="utf-8", check=False
    )
    if check and done.returncode != 0:
        stop(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def stop(*lines: str) -> NoReturn:
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    # Cookiecutter would add a traceback to what its hooks say.
    logging.disable(logging.CRITICAL)
    # Git tells programs that it starts about its repository; this one looks for itself.
    for name in subprocess.check_output(["git", "rev-parse", "--local-env-vars"], text=True).split():
        os.environ.pop(name, None)
    main(Path(sys.argv[1]))
