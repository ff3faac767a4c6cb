"""Generating a service beside Copier on the same files, and from nothing to the first test that passes."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from manifest import PRESETS, TEMPLATE, TREE, is_copied, tree_files
from measure import BUILD, PROGRAMS, Cost, Goal, Ratio, Table, cost, interleave, others_environment, save
from running import clean_environment

ROUNDS, TEST_ROUNDS = 9, 5
FOLDER = BUILD / "generating"
COPY = ["--defaults", "--quiet", "--overwrite"]


def cookiecutter(preset: str, output: Path) -> list[str | Path]:
    """Answers of the user's own are not read, and those of this run are kept below ``build/bench``."""
    config = FOLDER / "cookiecutter.yaml"
    config.write_text(json.dumps({"replay_dir": str(FOLDER), "cookiecutters_dir": str(FOLDER)}))
    program = others_environment() / "cookiecutter"
    return [program, TEMPLATE, "--no-input", "--config-file", config, "--output-dir", output, f"preset={preset}"]


def copier_template(preset: str) -> Path:
    """The same template for Copier: it renders the files that cookiecutter renders, and copies the others.

    It holds the files of this preset only: what the hook removes, Copier does not even see. What cookiecutter copies is
    as the hook leaves it.
    """
    folder, made = FOLDER / f"copier-{preset}", FOLDER / "made"
    subprocess.run(cookiecutter(preset, made), check=True, capture_output=True)
    context = json.loads((FOLDER / f"{TEMPLATE.name}.json").read_text())
    answers = context["cookiecutter"]
    shutil.copytree(TEMPLATE / "templates", folder)
    for path in tree_files():
        place = path.replace("{{cookiecutter.package_name}}", answers["package_name"])
        if (made_file := made / answers["project_slug"] / place).exists():
            name = path if is_copied(path) else f"{path}.jinja"
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(made_file if is_copied(path) else TREE / path, folder / "tree" / name)
    config = {
        "_subdirectory": "tree",
        "_envops": {**answers["_jinja2_env_vars"], "keep_trailing_newline": True},
        "cookiecutter": {"type": "json", "default": json.dumps(answers), "when": False},
    }
    (folder / "copier.yml").write_text(json.dumps(config))
    copied = FOLDER / "copied"
    subprocess.run([others_environment() / "copier", "copy", *COPY, folder, copied], check=True)
    assert contents(copied) == contents(made / answers["project_slug"]), "Copier makes other files"
    for each in (made, copied):
        shutil.rmtree(each)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """The files that come from the tree, by their names; .cruft.json, which says how to update, the hook writes."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.pop(".cruft.json", None)
    return found


def into_new_folder(command: Callable[[Path], list[str | Path]]) -> Callable[[], Cost]:
    """A turn of a command; the folder that it makes is removed after."""
    output = FOLDER / "output"

    def turn() -> Cost:
        try:
            return cost(command(output), FOLDER)
        finally:
            shutil.rmtree(output, ignore_errors=True)

    turn()
    return turn


def first_test(preset: str) -> float:
    """Seconds from an empty folder to the first test that passes; packages come out of uv's cache."""
    folder = FOLDER / "first"
    folder.mkdir()
    commands = [
        f"{PROGRAMS}/cookiecutter {TEMPLATE} --no-input --default-config preset={preset}",
        "cd *",
        "git init -q",
        "git add .",
        "git -c user.name=bench -c user.email=bench@example.com commit -qm 'As generated'",
        "exec make test ARGS=-v",
    ]
    started = perf_counter()
    process = subprocess.Popen(
        ["sh", "-c", " && ".join(commands)],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    told = []
    try:
        for line in process.stdout or ():
            told.append(line)
            if " PASSED" in line:
                return perf_counter() - started
        raise AssertionError("".join(told))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        shutil.rmtree(folder)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    contenders: dict[tuple[str, str], Callable[[], Cost]] = {}
    for preset in PRESETS:
        template = copier_template(preset)
        contenders[preset, "cookiecutter"] = into_new_folder(lambda output, preset=preset: cookiecutter(preset, output))  # type: ignore[misc]
        copier: list[str | Path] = [others_environment() / "copier", "copy", *COPY, template]
        contenders[preset, "copier"] = into_new_folder(lambda output, copier=copier: [*copier, output])  # type: ignore[misc]
    costs = interleave(contenders, ROUNDS)
    rows, bars, goals = [], {}, []
    for preset in PRESETS:
        ours, theirs = costs[preset, "cookiecutter"], costs[preset, "copier"]
        ratio = Ratio.of([each.cpu for each in ours], [each.cpu for each in theirs])
        clock = Ratio.of([each.clock for each in ours], [each.clock for each in theirs])
        seconds = [f"{median(each.cpu for each in turns) * 1000:.0f}" for turns in (ours, theirs)]
        rows.append([f"`{preset}`", str(clock), str(ratio), *seconds])
        bars[preset] = clock.median
        goals.append(
            Goal(
                f"generating `{preset}`, beside Copier",
                clock,
                0.6,
                why="whatever the preset, cookiecutter compiles each file of the template that has Jinja, and copies the "
                "others; the hook removes most. Copier is given only the files of the preset.",
            )
        )
    generated = Table(
        "Generating, beside Copier on the same files",
        "The whole process, started anew each time, hooks included. Copier renders the same files and copies the same, with "
        "the answers as a default, and makes the same service, byte by byte, but for .cruft.json; it is not given the files that the hook "
        "removes.",
        ["", "clock, ratio", "CPU, ratio", "CPU, ms", "CPU of Copier, ms"],
        rows,
        bars,
    )
    tested = interleave({preset: lambda preset=preset: first_test(preset) for preset in PRESETS}, TEST_ROUNDS)  # type: ignore[misc]
    rows = [
        [f"`{preset}`", f"{median(all_):.1f}", f"{min(all_):.1f} to {max(all_):.1f}"] for preset, all_ in tested.items()
    ]
    first = Table(
        "From nothing to the first test that passes",
        "`cookiecutter`, `git init`, a first commit and `make test`, in which the environment is made, until pytest says that a "
        "test has passed. All packages are in uv's cache.",
        ["", "seconds", "lowest to highest"],
        rows,
    )
    minimal = tested["minimal"]
    goals.append(
        Goal(
            "seconds to the first test of `minimal`",
            Ratio(median(minimal), min(minimal), max(minimal)),
            4,
            unit="seconds",
            why="uv keeps for ten minutes what the index has said of each package. With that it took 2.5 seconds; where it had to "
            "ask anew, which is what these rounds show, it is the network that was measured.",
        )
    )
    save("generating", [generated, first], goals)


if __name__ == "__main__":
    main()
