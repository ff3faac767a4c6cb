"""Life after generation: options are switched on and off in services that are in use."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cruft
import pytest
import updates
from manifest import OPTIONS, PRESETS
from matrix import few, some
from updates import (
    commit,
    copy_template,
    create,
    create_committed,
    files,
    make_update,
    public_answers,
    record,
    run,
    update,
)

ONCE = "Name the git repository of the template, once: make update TEMPLATE=https://...\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For what cookiecutter and cruft do in this process."""
    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            patch.delenv(name)
        for name, value in updates.ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def first(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_committed(template, tmp_path_factory.mktemp("first"), metrics="yes")


@pytest.fixture
def service(first: Path, tmp_path: Path) -> Path:
    """A service with metrics, committed as it was generated: a copy of one, which is made once."""
    return Path(shutil.copytree(first, tmp_path / "work" / first.name, symlinks=True))


def edit(service: Path, name: str, old: str, new: str) -> None:
    path = service / name
    text = path.read_text()
    assert old in text, f"{old!r} is not in {name}"
    path.write_text(text.replace(old, new))


# --- the record ---


def head(template: Path) -> str:
    return run("git", "rev-parse", "HEAD", cwd=template).stdout.strip()


def test_the_record_is_that_of_cruft(template: Path, tmp_path: Path) -> None:
    ours = record(create(template, tmp_path / "cookiecutter", preset="api"))
    theirs = record(
        cruft.create(str(template), tmp_path / "cruft", default_config=True, extra_context={"preset": "api"})
    )
    context = theirs["context"]["cookiecutter"]
    # What a service cannot change is no part of its record.
    kept = {name: answer for name, answer in context.items() if name[0] != "_" or name in ("_template", "_commit")}
    assert ours == theirs | {"context": {"cookiecutter": kept}}
    assert ours["template"] == str(template)
    assert ours["commit"] == head(template)


def test_cruft_takes_the_record(template: Path, tmp_path: Path) -> None:
    service = create_committed(template, tmp_path, preset="api")
    assert cruft.check(service)
    assert cruft.diff(service, exit_code=True)
    (service / "README.md").write_text("mine")
    assert not cruft.diff(service, exit_code=True)


@pytest.mark.parametrize(("folder", "told"), [("template", "."), ("", "template"), ("other", "../template")])
def test_a_relative_path(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, told: str
) -> None:
    """Only cookiecutter knows what it is relative to: the variable of the shell that started a script may be old."""
    (tmp_path / "template").symlink_to(template)
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("PWD", "/nowhere")
    monkeypatch.chdir(tmp_path / folder)
    assert record(create(told, tmp_path / "out"))["template"] == str(template)


@pytest.mark.parametrize(
    ("address", "recorded"),
    few(
        [
            ("https://me:S3cr3t@git.example.com/{}/template.git", "https://git.example.com/{}/template.git"),
            ("https://S3cr3t@git.example.com/{}/template.git", "https://git.example.com/{}/template.git"),
            ("ssh://git:S3cr3t@git.example.com:22/{}/template.git", "ssh://git@git.example.com:22/{}/template.git"),
            ("git@git.example.com:{}/template.git", "git@git.example.com:{}/template.git"),
            ("git+https://git.example.com/{}/template.git", "https://git.example.com/{}/template.git"),
            ("gh:{}/template", "https://github.com/{}/template.git"),
        ],
        2,
    ),
)
def test_a_git_url(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, recorded: str
) -> None:
    """The record has the whole address, as of the tag that was asked for, and no password."""
    run("git", "tag", "--force", "v1", cwd=template)
    name, repository = "platform", tmp_path / "platform/template.git"
    run("git", "clone", "--quiet", "--bare", template, repository, cwd=tmp_path)
    config = tmp_path / "gitconfig"
    expanded = address.replace("gh:", "https://github.com/").removeprefix("git+").split("{}")[0]
    config.write_text(f'[url "{tmp_path}/"]\n    insteadOf = {expanded}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    service = create(address.format(name), tmp_path / "out", checkout="v1")
    made = record(service)
    assert (made["template"], made["commit"], made["checkout"]) == (recorded.format(name), head(template), "v1")
    assert "S3cr3t" not in (service / ".cruft.json").read_text()


def archive(template: Path, folder: Path) -> Path:
    """A zip such as code hosts make."""
    path = folder / "template.zip"
    run("git", "archive", "--prefix=template-main/", f"--output={path}", "HEAD", cwd=template)
    return path


@pytest.mark.slow
def test_an_archive(template: Path, tmp_path: Path) -> None:
    """It has the commit; the address is asked for once."""
    made = record(create(archive(template, tmp_path), tmp_path / "zip"))
    assert (made["template"], made["commit"]) == ("", head(template))
    run("unzip", "-q", "template.zip", cwd=tmp_path)
    service = create_committed(tmp_path / "template-main", tmp_path / "folder", metrics="yes")
    assert record(service)["commit"] == head(template)
    assert refused(service).splitlines()[:-1] == [ONCE.strip()]
    make_update(service, TEMPLATE=str(template))
    assert run("git", "diff", "--cached", "--name-only", cwd=service).stdout == ".cruft.json\n"
    assert record(service)["template"] == str(template)
    commit(service)
    assert "There is nothing to update." in make_update(service).stdout


def test_a_folder_that_is_no_repository(
    template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service is made; and told what it cannot, as without git."""
    plain = tmp_path / "plain"
    run("git", "clone", "--quiet", template, plain, cwd=tmp_path)
    for number in range(2):
        service = create(plain, tmp_path / str(number))
        assert (service / ".cruft.json").exists() is (number == 0)
        if number == 0:
            assert "make update" not in capfd.readouterr().out
            run("rm", "-r", ".git", cwd=plain)
    assert f"`make update` will not work: git finds no commit in {plain}.\n" in capfd.readouterr().out
    monkeypatch.setenv("PATH", "/nowhere")
    assert not (create(template, tmp_path / "2") / ".cruft.json").exists()
    assert f"`make update` will not work: git finds no commit in {template}.\n" in capfd.readouterr().out


@pytest.mark.parametrize("name", few(["README.md", "{{cookiecutter.project_slug}}/new.txt", "cookiecutter.json"], 1))
def test_a_template_with_changes(template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    run("git", "clone", "--quiet", template, tmp_path / "template", cwd=tmp_path)
    with (tmp_path / "template" / name).open("a") as file:
        file.write("\n")
    service = create(tmp_path / "template", tmp_path / "out")
    told = "The template has changes that are not committed: `make update` would take them for yours.\n"
    assert (told in capfd.readouterr().out) is (name != "README.md")
    assert record(service)["commit"] == head(template)


def test_git_is_asked_about_the_template(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not about the repository whose hook starts cookiecutter."""
    run("git", "init", "--quiet", cwd=tmp_path)
    commit(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / ".git/index"))
    assert record(create(template, tmp_path / "out"))["commit"] == head(template)


# --- cruft itself ---


#: A few changes, made by cruft itself; tests/test_rendering.py proves all of them.
REAL = [
    ("sql", "none", "postgresql"),
    ("metrics", "yes", "no"),
    ("ci", "github", "gitlab"),
    ("server", "granian", "gunicorn"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "question", "now", "other"),
    [toggle for toggle in updates.toggles() if toggle[1:] in REAL],
)
def test_there_and_back(template: Path, tmp_path: Path, preset: str, question: str, now: str, other: str) -> None:
    start = updates.starting_from(preset, question, other)
    service = create(template, tmp_path / "service", **start, **{question: now})
    run("git", "init", "--quiet", cwd=service)
    commit(service)
    before = files(service), public_answers(service)
    fresh = create(template, tmp_path / "other", **start, **{question: other})
    after = files(fresh), public_answers(fresh)
    assert after[0] != before[0]
    for answer, expected in ((other, after), (now, before)):
        assert cruft.update(service, skip_apply_ask=True, extra_context={question: answer})
        assert (files(service), public_answers(service)) == expected
        commit(service)


def test_every_question_is_toggled() -> None:
    assert {question for _, question, _, _ in updates.toggles()} == set(updates.QUESTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("preset", some(PRESETS, "full"))
def test_cookiecutter_and_cruft_make_the_same(template: Path, tmp_path: Path, preset: str) -> None:
    with_cruft = cruft.create(str(template), tmp_path / "cruft", default_config=True, extra_context={"preset": preset})
    options = ("--no-input", "--default-config")
    run("cookiecutter", template, *options, "-o", tmp_path / "cookiecutter", f"preset={preset}", cwd=tmp_path)
    extra = json.dumps({"preset": preset})
    run("cruft", "create", *options, "--output-dir", tmp_path / "cli", "--extra-context", extra, template, cwd=tmp_path)
    assert files(tmp_path / "cookiecutter" / with_cruft.name) == files(with_cruft)
    assert files(tmp_path / "cli" / with_cruft.name) == files(with_cruft)
    # Its own record stays.
    assert "_options" in record(tmp_path / "cli" / with_cruft.name)["context"]["cookiecutter"]


@pytest.mark.slow
def test_update_by_the_command_line(template: Path, tmp_path: Path) -> None:
    service = create_committed(template, tmp_path / "service", preset="full")
    variables = ("--variables-to-update", '{"metrics": "no"}')
    run("cruft", "update", "--skip-apply-ask", *variables, cwd=service)
    assert files(service) == files(create(template, tmp_path / "fresh", preset="full", metrics="no"))


# --- the service's own `make update` ---


@pytest.mark.slow
def test_toggles_and_stages(template: Path, tmp_path: Path, service: Path) -> None:
    done = make_update(service, '{"metrics": "no", "ci": "github"}')
    assert "Merged, not committed" in done.stdout
    fresh = create(template, tmp_path / "fresh", metrics="no", ci="github")
    assert files(service) == files(fresh)
    assert public_answers(service) == public_answers(fresh)
    assert run("git", "diff", "--name-only", cwd=service).stdout == ""
    assert "extensions/metrics.py" in run("git", "diff", "--cached", "--name-only", cwd=service).stdout
    commit(service)
    assert "There is nothing to update." in make_update(service).stdout
    assert run("git", "status", "--porcelain", cwd=service).stdout == ""
    # Plain cruft goes on from what `make update` has recorded.
    assert cruft.check(service)
    assert cruft.update(service, skip_apply_ask=True, extra_context={"metrics": "yes"})
    assert files(service) == files(create(template, tmp_path / "again", metrics="yes", ci="github"))


@pytest.mark.slow
def test_a_new_version_of_the_template(tmp_path: Path) -> None:
    template = copy_template(tmp_path)
    service = create_committed(template, tmp_path / "build")
    edit(template, "{{cookiecutter.project_slug}}/AGENTS.md", "A comment says why.", "Comments say why.")
    edit(service, "AGENTS.md", "# Rules", "# Our rules")
    commit(template)
    commit(service)
    make_update(service)
    text = (service / "AGENTS.md").read_text()
    assert "# Our rules" in text
    assert "Comments say why." in text
    assert json.loads((service / ".cruft.json").read_text())["commit"] in run("git", "log", cwd=template).stdout


@pytest.mark.slow
def test_uv_only_in_the_services_environment(service: Path) -> None:
    path = "/usr/local/bin:/usr/bin:/bin"
    assert run("sh", "-c", "command -v uv", cwd=service, check=False, PATH=path).returncode
    make_update(service, '{"metrics": "no"}', PATH=path)
    assert (service / ".venv/bin/uv").is_file()
    assert not list(service.glob("src/*/extensions/metrics.py"))


@pytest.mark.slow
def test_answers_are_taken_as_written(service: Path) -> None:
    description = 'It\'s "$5" of $(HOME) `id` \\ & #1; günstig'
    make_update(service, json.dumps({"description": description}))
    assert public_answers(service)["description"] == description


@pytest.mark.slow
def test_a_service_in_a_folder_of_a_repository(template: Path, tmp_path: Path) -> None:
    service = create_committed(template, tmp_path / "mono" / "services", metrics="yes")
    run("rm", "-r", ".git", cwd=service)
    run("git", "init", "--quiet", cwd=tmp_path / "mono")
    (tmp_path / "mono" / "README.md").write_text("All services.\n")
    (tmp_path / "mono" / ".gitignore").write_text(".venv/\n")
    run("git", "add", ".", cwd=tmp_path / "mono")
    run("git", "commit", "-qm", "all", cwd=tmp_path / "mono")
    make_update(service, '{"metrics": "no"}')
    assert files(service) == files(create(template, tmp_path / "fresh", metrics="no"))
    assert files(tmp_path / "mono").keys() - {f"services/{service.name}/{name}" for name in files(service)} == {
        "README.md",
        ".gitignore",
    }


@pytest.mark.slow
def test_a_service_made_by_cruft(template: Path, tmp_path: Path) -> None:
    service = cruft.create(str(template), tmp_path, default_config=True, extra_context={"metrics": "yes"})
    run("git", "init", "--quiet", cwd=service)
    commit(service)
    # An address that somebody recorded with a password stays as it is, but is told to nobody.
    edit(service, ".cruft.json", f'"template": "{template}"', '"template": "https://me:S3cr3t@git.example.com/x.git"')
    commit(service)
    assert checked(service, template, 0)[1]["template"] == "https://git.example.com/x.git"
    assert update(service, template).stdout == "There is nothing to update.\n"
    assert update(service, template, ANSWERS='{"metrics": false}').returncode == 0
    assert files(service) == files(create(template, tmp_path / "fresh", metrics="no"))
    assert public_answers(service)["metrics"] == "no"


# --- make update CHECK=1 ---


def later(template: Path, folder: Path, *subjects: str) -> Path:
    """The template with further commits, of which the first changes a line of the service."""
    run("git", "clone", "--quiet", template, folder, cwd=template)
    edit(folder, "{{cookiecutter.project_slug}}/AGENTS.md", "A comment says why.", "Comments say why.")
    for subject in subjects:
        commit(folder, subject)
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    """All files, those of git included."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def checked(service: Path, template: Path, status: int, **environment: str) -> tuple[str, dict[str, Any]]:
    """The sentence and the JSON of a check that changes nothing."""
    before = contents(service)
    text, data = (update(service, template, option, **environment) for option in ("--check", "--check=json"))
    assert (text.returncode, data.returncode, text.stderr, data.stderr) == (status, status, "", "")
    assert contents(service) == before
    return text.stdout, json.loads(data.stdout)


@pytest.mark.slow
def test_check(template: Path, tmp_path: Path, service: Path) -> None:
    text, data = checked(service, template, 0)
    assert text == "flask-service is up to date.\n"
    commits = {"service": "flask-service", "template": str(template), "from": head(template)}
    assert data == commits | {"to": head(template), "behind": 0, "files": [], "conflicts": []}
    newer = later(template, tmp_path / "newer", "Say why", "Second", "Third", "Fourth")
    text, data = checked(service, newer, 1)
    newest = "(Fourth; Third; Second; ...)"
    assert text == f"flask-service is 4 commits behind {newest}: 1 file to change, no conflicts.\n"
    assert data == commits | {"to": head(newer), "behind": 4, "files": ["AGENTS.md"], "conflicts": []}
    edit(service, "AGENTS.md", "A comment says why.", "A comment says nothing.")
    commit(service)
    text, data = checked(service, newer, 2)
    assert text.endswith("behind (Fourth; Third; Second; ...): 1 file to change, conflicts in AGENTS.md.\n")
    assert data["conflicts"] == ["AGENTS.md"]
    # What is in the work tree alone does not count, and is not lost.
    (service / "notes.txt").write_text("mine")
    assert checked(service, newer, 2)[1] == data


@pytest.mark.slow
def test_commits_that_change_nothing_here(template: Path, tmp_path: Path, service: Path) -> None:
    """They are no reason for a merge, and so none for being behind."""
    run("git", "clone", "--quiet", template, tmp_path / "newer", cwd=tmp_path)
    commit(tmp_path / "newer", "nothing")
    text, data = checked(service, tmp_path / "newer", 0)
    assert (text, data["behind"], data["files"]) == ("flask-service is up to date.\n", 1, [])
    assert update(service, tmp_path / "newer").stdout == "There is nothing to update.\n"


@pytest.mark.slow
def test_check_with_answers(template: Path, service: Path) -> None:
    """What would another answer change, and where would it conflict?"""
    edit(service, ".env.example", "#METRICS_TOKEN=", "METRICS_TOKEN=mine")
    edit(service, "pyproject.toml", 'version = "0.1.0"', 'version = "7.7.7"')
    commit(service)
    text, data = checked(service, template, 2, ANSWERS='{"metrics": "no"}')
    assert text.startswith("flask-service is 0 commits behind: ")
    assert data["conflicts"] == [".env.example"]
    assert {"pyproject.toml", "src/flask_service/extensions/metrics.py"} < set(data["files"])


@pytest.mark.slow
def test_check_in_a_folder_of_a_repository(template: Path, tmp_path: Path) -> None:
    service = create(template, tmp_path / "mono/services")
    run("git", "init", "--quiet", cwd=tmp_path / "mono")
    (tmp_path / "mono/AGENTS.md").write_text("Of all services.\n")
    edit(service, "README.md", "## Find your way", "## Find my way")
    commit(tmp_path / "mono")
    newer = later(template, tmp_path / "newer", "Say why")
    text, data = checked(service, newer, 1)
    assert text == "flask-service is 1 commit behind (Say why): 1 file to change, no conflicts.\n"
    assert (data["files"], data["conflicts"]) == (["AGENTS.md"], [])


@pytest.mark.parametrize(
    ("option", "answers", "line"),
    few(
        [
            ("--chek", "", "Usage: update.py TEMPLATE [--check | --check=json]"),
            ("--check=yes", "", "Usage: update.py TEMPLATE [--check | --check=json]"),
            ("--check", '{"metrics": "maybe"}', "metrics='maybe': answer yes or no."),
            ("--check=json", '{"metrics": null}', "metrics=null: write a text, in quotes."),
            ("--check", "7", 'ANSWERS is no object in JSON, such as {"metrics": "yes"}'),
        ],
        2,
    ),
)
def test_errors_of_a_check(template: Path, service: Path, option: str, answers: str, line: str) -> None:
    done = update(service, template, option, ANSWERS=answers)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[0] == line


@pytest.mark.parametrize("text", few(["[]", "{}", "{", '{"context": {"cookiecutter": []}}'], 1))
def test_a_broken_record(template: Path, service: Path, text: str) -> None:
    (service / ".cruft.json").write_text(text)
    done = update(service, template, "--check")
    assert done.returncode == 3
    assert done.stderr.startswith(".cruft.json is broken: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_check_by_make(service: Path) -> None:
    assert make_update(service, CHECK="1").stdout == "flask-service is up to date.\n"
    edit(service, ".env.example", "#METRICS_TOKEN=", "METRICS_TOKEN=mine")
    commit(service)
    done = make_update(service, '{"metrics": "no"}', check=False, CHECK="json")
    assert done.returncode
    assert json.loads(done.stdout)["conflicts"] == [".env.example"]


# --- what it refuses ---


def refused(service: Path, answers: str = "", **environment: str) -> str:
    """Update in vain: the status says so, and nothing has changed."""
    before, status = files(service), run("git", "status", "--porcelain", cwd=service, check=False).stdout
    done = make_update(service, answers, check=False, **environment)
    assert done.returncode
    assert "Traceback" not in done.stderr
    assert files(service) == before
    assert run("git", "status", "--porcelain", cwd=service, check=False).stdout == status
    return done.stderr


def test_refuses_an_unclean_work_tree(service: Path) -> None:
    (service / "notes.txt").write_text("untracked")
    assert "Commit or stash these changes first:\n?? notes.txt" in refused(service)
    run("git", "config", "status.showUntrackedFiles", "no", cwd=service)
    assert "?? notes.txt" in refused(service)
    (service / "notes.txt").unlink()
    edit(service, "README.md", "# ", "## ")
    assert " M README.md" in refused(service)
    run("git", "add", ".", cwd=service)
    assert "M  README.md" in refused(service)


def test_refuses_without_cruft_json(service: Path) -> None:
    (service / ".cruft.json").unlink()
    assert 'There is no .cruft.json: README.md, "Update", says how to get one.' in refused(service)
    assert "\n## Update\n" in (service / "README.md").read_text()


def test_refuses_without_a_repository(service: Path) -> None:
    run("rm", "-r", ".git", cwd=service)
    assert "Make this a git repository and commit first." in refused(service)


@pytest.mark.slow
def test_refuses_bad_answers(service: Path) -> None:
    cruft_json = (service / ".cruft.json").read_text()
    message = refused(service, '{"metrics": "maybe"}')
    assert message.startswith("metrics='maybe': answer yes or no.\nNothing was changed.\n")
    unknown = "metric: the template asks no such question, did you mean metrics?\nNothing was changed."
    assert unknown in refused(service, '{"metric": "no"}')
    assert "A preset is for services that are new" in refused(service, '{"preset": "full"}')
    for broken in ("metrics=no", '["metrics"]', "7", "{'metrics': 'no'}"):
        assert "ANSWERS is no object in JSON" in refused(service, broken)
    told = refused(service, '{"project_slug": "a/b"}').splitlines()
    assert told[0].startswith("project_slug='a/b': use lower-case letters")
    assert told[1] == "Nothing was changed."
    assert (service / ".cruft.json").read_text() == cruft_json


def test_a_template_that_is_gone(service: Path) -> None:
    edit(service, ".cruft.json", '"template": "', '"template": "/nowhere')
    commit(service)
    told = refused(service)
    assert "/nowhere" in told
    assert ONCE in told


def test_a_commit_that_is_gone(template: Path, service: Path) -> None:
    made = record(service)
    edit(service, ".cruft.json", made["commit"], "0" * 40)
    commit(service)
    done = update(service, template)
    assert done.returncode == 3
    assert done.stderr == f"The template has no commit {'0' * 40}, which made this service.\nNothing was changed.\n"


def await_start(fifo: Path) -> None:
    """Wait until a program says in a named pipe that it has come so far."""
    with os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)) as file:
        assert select.select([file], [], [], 60)[0]
        assert file.readline() == "started\n"


def test_ctrl_c_leaves_nothing(service: Path, tmp_path: Path) -> None:
    """Neither the clone, nor anything else, in the folder for temporary files."""
    temporary, started = tmp_path / "temporary", tmp_path / "started"
    temporary.mkdir()
    os.mkfifo(started)
    uv = tmp_path / "uv"
    # It comes after the clone, and does not end by itself.
    uv.write_text(f"#!/bin/sh\necho started >{started}\nread -r nothing <{started}\n")
    uv.chmod(0o755)
    make = subprocess.Popen(
        # What a script runs in its background ignores Ctrl+C, and so would all that it starts.
        ["env", "--default-signal=INT", "make", "update", f"UV={uv}"],
        cwd=service,
        env=updates.ENVIRONMENT | {"TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    await_start(started)
    assert len(list(temporary.iterdir())) == 1
    os.killpg(make.pid, signal.SIGINT)
    assert make.wait(30)
    assert not list(temporary.iterdir())


def test_a_signal_leaves_no_renderings(template: Path, service: Path, tmp_path: Path) -> None:
    """The program itself clears up when it is ended in the middle of its work."""
    temporary, started = tmp_path / "temporary", tmp_path / "started"
    temporary.mkdir()
    os.mkfifo(started)
    git = tmp_path / "bin/git"
    git.parent.mkdir()
    git.write_text(
        f'#!/bin/sh\nPATH=${{PATH#*:}}\ncase "$*" in *checkout*) echo started >{started}; '
        f'read -r nothing <{started};; *) exec git "$@";; esac\n'
    )
    git.chmod(0o755)
    program = subprocess.Popen(
        [sys.executable, template / "update.py", template],
        cwd=service,
        env=updates.ENVIRONMENT | {"TMPDIR": str(temporary), "PATH": f"{git.parent}:{updates.ENVIRONMENT['PATH']}"},
        start_new_session=True,
    )
    await_start(started)
    assert list(temporary.iterdir())
    program.terminate()
    assert program.wait(30) == 128 + signal.SIGTERM
    assert not list(temporary.iterdir())
    with suppress(ProcessLookupError):  # git, which still waits
        os.killpg(program.pid, signal.SIGKILL)


# --- what its owner has changed ---


@pytest.mark.slow
def test_edits_survive(template: Path, tmp_path: Path, service: Path) -> None:
    """Edits beside those of the update are merged with them, whatever the file."""
    (package,) = (service / "src").iterdir()
    modules = str((package / "modules.py").relative_to(service))
    mine = {
        "pyproject.toml": ('version = "0.1.0"', 'version = "7.7.7"'),
        "README.md": ("## Find your way", "## Find my way"),
        "Makefile": ("clean: ##", "deploy: ## Deploy\n\techo deployed\n\nclean: ##"),
        ".env.example": ("development: copy", "developers: copy"),
        modules: ('    "blueprints.main",\n', '    "blueprints.main",\n    "blueprints.orders",\n'),
    }
    for name, (old, new) in mine.items():
        edit(service, name, old, new)
    (package / "blueprints/orders.py").write_text("ORDERS = 1\n")
    commit(service)
    for answer in ("no", "yes"):
        make_update(service, json.dumps({"metrics": answer}))
        commit(service)
        fresh = create(template, tmp_path / answer, metrics=answer)
        for name, (old, new) in mine.items():
            edit(fresh, name, old, new)
        (fresh / package.relative_to(service) / "blueprints/orders.py").write_text("ORDERS = 1\n")
        assert files(service) == files(fresh)


(CLIENT,) = OPTIONS["metrics"]["requires"]
CONFLICTS = {
    "pyproject.toml": (f'    "{CLIENT}",\n', f'    "{CLIENT}.1",\n'),
    "README.md": ("## Metrics\n", "## Our metrics\n"),
    ".env.example": ("#METRICS_TOKEN=", "METRICS_TOKEN=mine"),
    "src/flask_service/modules.py": (
        '    "extensions.metrics",\n',
        '    "extensions.metrics",\n    "orders",\n',
    ),
    # Deleted by the update, edited here.
    "src/flask_service/extensions/metrics.py": ("METHODS = {", 'METHODS = {"PURGE", '),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFLICTS)
def test_edits_of_what_is_switched_off_conflict(service: Path, name: str) -> None:
    edit(service, name, *CONFLICTS[name])
    commit(service)
    done = make_update(service, '{"metrics": "no"}', check=False)
    assert done.returncode
    deleted = " (deleted by the template, changed by you: git rm it, or git add to keep it)"
    note = deleted if name.endswith("/metrics.py") else ""
    assert f"or give up: git reset --hard\n{name}{note}\n" in done.stderr
    assert CONFLICTS[name][1].strip().splitlines()[-1] in (service / name).read_text()
    assert name in run("git", "diff", "--name-only", "--diff-filter=U", cwd=service).stdout
    # Until it is resolved, there is no further update, and the way back is the one that was named.
    assert "Commit or stash" in make_update(service, check=False).stderr
    run("git", "reset", "--hard", "--quiet", cwd=service)
    assert run("git", "status", "--porcelain", cwd=service).stdout == ""


@pytest.mark.slow
def test_a_deleted_file(service: Path) -> None:
    """What the update changes in it is a conflict; what it would delete too is none."""
    run("git", "rm", "--quiet", ".env.example", "src/flask_service/extensions/metrics.py", cwd=service)
    commit(service)
    done = make_update(service, '{"metrics": "no"}', check=False)
    assert done.returncode
    assert done.stderr.splitlines()[-2:-1] == [".env.example"]


@pytest.mark.slow
def test_a_renamed_file(service: Path) -> None:
    """The update follows it."""
    (service / "docs").mkdir()
    run("git", "mv", ".env.example", "docs/settings.env", cwd=service)
    commit(service)
    make_update(service, '{"metrics": "no"}')
    assert not (service / ".env.example").exists()
    assert "METRICS_TOKEN" not in (service / "docs/settings.env").read_text()
    assert "SECRET_KEY" in (service / "docs/settings.env").read_text()


@pytest.mark.slow
def test_a_file_where_the_update_puts_one(template: Path, tmp_path: Path) -> None:
    service = create_committed(template, tmp_path)
    name = "tests/extensions/test_metrics.py"
    (service / name).write_text("MINE = True\n")
    commit(service)
    done = make_update(service, '{"metrics": "yes"}', check=False)
    assert done.returncode
    assert name in done.stderr.splitlines()
    assert "MINE = True" in (service / name).read_text()
    run("git", "reset", "--hard", "--quiet", cwd=service)
    # One that git ignores is not written over.
    run("git", "rm", "--quiet", "--cached", name, cwd=service)
    (service / ".git/info/exclude").write_text("test_metrics.py\n")
    run("git", "commit", "--quiet", "--message", "ignored", cwd=service)
    assert name in refused(service, '{"metrics": "yes"}')
    assert (service / name).read_text() == "MINE = True\n"


@pytest.mark.slow
def test_a_merge_that_leaves_markers(service: Path) -> None:
    """Markers are found where git itself sees no conflict: a driver such as `union` keeps both sides."""
    run("git", "config", "merge.marking.driver", "echo '<<<<<<< mine' >> %A", cwd=service)
    (service / ".git/info/attributes").write_text("README.md merge=marking\n")
    edit(service, "README.md", "## Find your way", "## Find my way")
    commit(service)
    done = make_update(service, '{"metrics": "no"}', check=False)
    assert done.returncode
    assert "README.md" in done.stderr.splitlines()


HOSTILE = """
[advice]
    mergeConflict = true
[apply]
    whitespace = error
[color]
    ui = always
[commit]
    gpgSign = true
[core]
    attributesFile = {folder}/attributes
    autocrlf = true
    excludesFile = {folder}/excludes
    hooksPath = {folder}/hooks
    pager = false
[diff]
    context = 0
    external = false
    mnemonicPrefix = true
    noprefix = true
[merge]
    conflictStyle = diff3
[status]
    showUntrackedFiles = no
"""


@pytest.mark.slow
def test_hostile_git(template: Path, tmp_path: Path, service: Path) -> None:
    """Neither the configuration of git, nor the repository that a hook calls make in, is in the way."""
    (tmp_path / "hooks").mkdir()
    for hook in ("pre-commit", "prepare-commit-msg", "commit-msg"):
        (tmp_path / "hooks" / hook).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "hooks" / hook).chmod(0o755)
    (tmp_path / "excludes").write_text(".env.example\n*.json\n")
    (tmp_path / "attributes").write_text("*.md text eol=crlf\n")
    (tmp_path / "gitconfig").write_text(HOSTILE.format(folder=tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    run("git", "init", "--quiet", cwd=other)
    run("git", "commit", "--quiet", "--allow-empty", "--message", "other", cwd=other)
    make_update(
        service,
        '{"metrics": "no"}',
        GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig"),
        GIT_DIR=str(other / ".git"),
        GIT_INDEX_FILE=str(other / "index"),
        GIT_WORK_TREE=str(other),
    )
    assert files(service) == files(create(template, tmp_path / "fresh", metrics="no"))
    assert run("git", "status", "--porcelain", cwd=other).stdout == ""
