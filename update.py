"""Update a service: merge the difference between its generated code then and its generated code now.

`make update` in a service clones the template and runs this in the service's folder. `cruft update` is not used,
because it passes over files that were renamed or deleted, and gives up merging when one file cannot be merged.

Usage: update.py TEMPLATE [--check | --check=json]

TEMPLATE is a clone of the template. The variable ANSWERS holds changed answers as JSON, and the variable TEMPLATE the
template's new address. With --check nothing is changed, and the exit status is 0 for up to date, 1 for behind, 2 for
behind with conflicts. Errors end with 3.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from cookiecutter.exceptions import CookiecutterException
from cookiecutter.generate import generate_context, generate_files
from cookiecutter.prompt import prompt_for_config

from generate import RECORD, as_text, read, typed, without_password, write

#: Who makes the commits that lie on no branch.
AUTHOR = {f"GIT_{who}_{what}": "template" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def main(template: Path, check: str) -> int:
    """Merge into the service in the current folder, and stage the result; or only tell what merging would do."""
    if git("rev-parse", "--is-inside-work-tree", check=False) != "true":
        stop("Make this a git repository and commit first.")
    if not check:
        check_work_tree()
    try:
        made: dict[str, Any] = json.loads(Path(RECORD).read_text(encoding="utf-8"))
        answers = {name: str(answer) for name, answer in made["context"]["cookiecutter"].items() if name[0] != "_"}
        service, preset = answers["project_slug"], answers["preset"]
        commit, address = made["commit"], without_password(os.environ.get("TEMPLATE", "")) or made["template"]
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        stop(f"{RECORD} is broken: {error!r}")
    asked = read_answers()
    old_commit, new_commit = (resolve(template, name) for name in (commit, "HEAD"))
    with TemporaryDirectory() as folder:
        old, _ = generate(template, old_commit, Path(folder, "old"), answers)
        # A question that is new is answered as in the smallest preset, so that nothing comes unasked.
        wanted = answers | {"preset": "minimal"} | asked
        new, context = generate(template, new_commit, Path(folder, "new"), wanted)
        context["preset"] = preset
        recorded = {"template": address, "commit": new_commit, "checkout": None}
        write(new / RECORD, made | recorded | {"context": {"cookiecutter": context | {"_commit": new_commit}}})
        (old / RECORD).write_bytes(Path(RECORD).read_bytes())
        store = apart(Path(folder, "objects")) if check else {}
        before = snapshot(old, "the template before", env=store)
        now = snapshot(new, "the template now", "-p", before, env=store)
        files = git("diff", "--name-only", "--no-renames", before, now, env=store).splitlines()
        changed = [name for name in files if name != RECORD]
        if check:
            subjects = git("log", "--format=%s", f"{old_commit}..{new_commit}", cwd=template).splitlines()
            report = {
                "service": service,
                "template": without_password(address),
                "from": old_commit,
                "to": new_commit,
                "behind": len(subjects),
                "files": changed,
                "conflicts": foresee(before, now, store) if changed else [],
            }
            print(json.dumps(report, ensure_ascii=False) if check == "json" else sentence(report, subjects))
            return bool(report["files"]) + bool(report["conflicts"])
    # A newer commit that changes nothing here is not worth a merge; a question that is new is recorded.
    if not files or not (changed or context != answers or address != made["template"]):
        print("There is nothing to update.")
        return 0
    merge(before, now)
    print(git("--no-pager", "diff", "--cached", "--stat"))
    print("Merged, not committed: look at git diff --cached, run make check, then git add --all && git commit.")
    return 0


def check_work_tree() -> None:
    # Of the whole repository, which may hold more than this service: giving up resets all of it.
    changed = git("status", "--porcelain", "--untracked-files=no", ":/").splitlines()
    changed += git("status", "--porcelain", "--untracked-files=normal", ".").splitlines()
    if changed:
        stop("Commit or stash these changes first:", *dict.fromkeys(changed))


def read_answers() -> dict[str, str]:
    try:
        asked = read(os.environ.get("ANSWERS") or "{}", "ANSWERS")
        if "preset" in asked:
            raise ValueError("A preset is for services that are new: answer the questions themselves.")
        return as_text(asked)
    except ValueError as error:
        stop(str(error), "Nothing was changed.")


def resolve(template: Path, name: str) -> str:
    commit = git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", cwd=template, check=False)
    return commit or stop(f"The template has no commit {name}, which made this service.", "Nothing was changed.")


def generate(template: Path, commit: str, folder: Path, answers: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """Make the service as one commit of the template makes it, and return its folder and its answers."""
    source = folder / "template"
    source.mkdir(parents=True)
    # The template may be a clone that somebody works in: its own files and its index stay as they are.
    environment = {"GIT_WORK_TREE": str(source), "GIT_INDEX_FILE": str(folder / "index")}
    git("checkout", commit, "--", ".", cwd=template, env=environment)
    try:
        context = generate_context(
            str(source / "cookiecutter.json"), extra_context={name: typed(text) for name, text in answers.items()}
        )
        context["cookiecutter"] = prompt_for_config(context, no_input=True)
        made = generate_files(str(source), context, str(folder / "service"))
    except (CookiecutterException, OSError, ValueError) as error:
        # A hook that refuses an answer has said why. If a slug has a path in it, cookiecutter then misses its folder.
        told = isinstance(error, FileNotFoundError) or "Hook" in str(error)
        stop(*([] if told else [str(error)]), "Nothing was changed.")
    return Path(made), {name: answer for name, answer in context["cookiecutter"].items() if name[0] != "_"}


def snapshot(folder: Path, message: str, *options: str, env: dict[str, str]) -> str:
    """Store a folder's files as a commit of the service's repository, on no branch."""
    environment = env | {
        "GIT_DIR": git("rev-parse", "--absolute-git-dir"),
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(folder.parent / "index"),
    }
    git("add", "--all", "--force", ".", cwd=folder, env=environment)
    tree = git("write-tree", env=environment)
    return git("commit-tree", tree, "-m", message, *options, env=environment | AUTHOR)


def apart(folder: Path) -> dict[str, str]:
    """Let git store new objects in a folder, beside those of the service's repository."""
    folder.mkdir()
    objects = Path(git("rev-parse", "--git-path", "objects")).resolve()
    return {"GIT_OBJECT_DIRECTORY": str(folder), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)}


def covered(before: str, now: str, store: dict[str, str]) -> list[str]:
    """The files that the update adds where git ignores files of the service."""
    added = git("diff", "--name-only", "--no-renames", "--diff-filter=A", before, now, env=store).splitlines()
    return [name for name in added if Path(name).exists() and not git("ls-files", "--", name)]


def foresee(before: str, now: str, store: dict[str, str]) -> list[str]:
    """The files in which merging into the last commit of the service would find conflicts."""
    mine = git("commit-tree", git("rev-parse", "HEAD:./"), "-p", before, "-m", "the service", env=store | AUTHOR)
    merged = git("merge-tree", "--write-tree", "--name-only", "--no-messages", mine, now, check=False, env=store)
    if not merged:
        stop("Git could not try to merge: --check needs git 2.38 or newer.")
    return sorted({*merged.splitlines()[1:], *covered(before, now, store)})


def sentence(report: dict[str, Any], subjects: list[str]) -> str:
    """Tell in a line what an update would do."""
    service, behind, files, conflicts = (report[name] for name in ("service", "behind", "files", "conflicts"))
    if not files:
        return f"{service} is up to date."
    newest = f" ({'; '.join(subjects[:3])}{'; ...' * (behind > 3)})" * bool(behind)
    found = f"conflicts in {', '.join(conflicts)}" if conflicts else "no conflicts"
    some = [f"{count} {word}{'s' * (count != 1)}" for count, word in ((behind, "commit"), (len(files), "file"))]
    return f"{service} is {some[0]} behind{newest}: {some[1]} to change, {found}."


def merge(before: str, now: str) -> None:
    """Merge as git does with a branch: edits, renames and deletions on either side are seen."""
    if lost := covered(before, now, {}):
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


def git(*arguments: str, cwd: Path | None = None, check: bool = True, env: dict[str, str] | None = None) -> str:
    """Run git, and return what it prints."""
    command = ["git", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | (env or {}), capture_output=True, encoding="utf-8", check=False
    )
    if check and done.returncode != 0:
        stop(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def stop(*lines: str) -> NoReturn:
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(3)


def interrupted(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    # An exception, unlike a signal, lets temporary folders be removed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    # Cookiecutter would add a traceback to what its hooks say.
    logging.disable(logging.CRITICAL)
    # Git tells programs that it starts about its repository; this one looks for itself.
    for name in subprocess.check_output(["git", "rev-parse", "--local-env-vars"], text=True).split():
        os.environ.pop(name, None)
    forms = {"": "", "--check": "text", "--check=1": "text", "--check=json": "json"}
    if len(sys.argv) < 2 or (form := " ".join(sys.argv[2:])) not in forms:
        stop("Usage: update.py TEMPLATE [--check | --check=json]")
    sys.exit(main(Path(sys.argv[1]), forms[form]))
