"""Life after generation: options are switched on and off in services that are in use."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import cruft
import pytest
import updates
from manifest import PRESETS
from updates import commit, copy_template, create, create_committed, files, make_update, public_answers, run


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For what cruft does in this process."""
    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            patch.delenv(name)
        for name, value in updates.ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def service(template: Path, tmp_path: Path) -> Path:
    """A service with metrics, committed as it was generated."""
    return create_committed(template, tmp_path / "work", metrics="yes")


def edit(service: Path, name: str, old: str, new: str) -> None:
    path = service / name
    text = path.read_text()
    assert old in text, f"{old!r} is not in {name}"
    path.write_text(text.replace(old, new))


# --- cruft itself ---


@pytest.mark.parametrize(
    ("preset", "question", "now", "other"),
    [pytest.param(*toggle, marks=[pytest.mark.slow] * (toggle[0] == "full")) for toggle in updates.toggles()],
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


@pytest.mark.parametrize("preset", PRESETS)
def test_cookiecutter_and_cruft_make_the_same(template: Path, tmp_path: Path, preset: str) -> None:
    with_cruft = create(template, tmp_path / "cruft", preset=preset)
    options = ("--no-input", "--default-config")
    run("cookiecutter", template, *options, "-o", tmp_path / "cookiecutter", f"preset={preset}", cwd=tmp_path)
    extra = json.dumps({"preset": preset})
    run("cruft", "create", *options, "--output-dir", tmp_path / "cli", "--extra-context", extra, template, cwd=tmp_path)
    assert files(tmp_path / "cookiecutter" / with_cruft.name) == files(with_cruft)
    assert files(tmp_path / "cli" / with_cruft.name) == files(with_cruft)


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
    edit(service, "AGENTS.md", "# For whoever changes this code", "# Rules")
    commit(template)
    commit(service)
    make_update(service)
    text = (service / "AGENTS.md").read_text()
    assert "# Rules" in text
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
    assert "The template asks no metric.\nNothing was changed." in refused(service, '{"metric": "no"}')
    for broken in ("metrics=no", '["metrics"]', "7", "{'metrics': 'no'}"):
        assert "ANSWERS is an object in JSON" in refused(service, broken)
    told = refused(service, '{"project_slug": "a/b"}').splitlines()
    assert told[0].startswith("project_slug='a/b': use lower-case letters")
    assert told[1] == "Nothing was changed."
    assert (service / ".cruft.json").read_text() == cruft_json


@pytest.mark.slow
def test_a_template_that_is_gone(service: Path) -> None:
    edit(service, ".cruft.json", '"template": "', '"template": "/nowhere')
    commit(service)
    assert "/nowhere" in refused(service)


# --- what its owner has changed ---


@pytest.mark.slow
def test_edits_survive(template: Path, tmp_path: Path, service: Path) -> None:
    """Edits beside those of the update are merged with them, whatever the file."""
    (package,) = (service / "src").iterdir()
    registry = str((package / "extensions/__init__.py").relative_to(service))
    mine = {
        "pyproject.toml": ('version = "0.1.0"', 'version = "7.7.7"'),
        "README.md": ("## Find your way", "## Find my way"),
        "Makefile": ("clean: ##", "deploy: ## Deploy\n\techo deployed\n\nclean: ##"),
        ".env.example": ("development: copy", "developers: copy"),
        registry: ('"""The extensions of this service', '"""Mine: the extensions of this service'),
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


CONFLICTS = {
    "pyproject.toml": ('    "prometheus-client>=0.22,<1",\n', '    "prometheus-client>=0.22,<0.30",\n'),
    "README.md": ("## Metrics\n", "## Our metrics\n"),
    ".env.example": ("#METRICS_TOKEN=", "METRICS_TOKEN=mine"),
    "src/flask_service/extensions/__init__.py": (
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
