"""Hostile answers: refused in one line that says what to change, with nothing left behind, or taken as they are."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pexpect
import pytest
from conftest import Service, generate
from cookiecutter.exceptions import FailedHookException, OutputDirExistsException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest import MANIFEST, PRESETS, QUESTIONS, TEMPLATE
from markdown_it import MarkdownIt
from matrix import few, some
from reserved import closure, reserved
from running import BIN, run
from updates import copy_template
from updates import run as run_git

ASKED = [name for name in MANIFEST if not name.startswith("_")]
#: Controls of the direction of text: https://www.unicode.org/reports/tr9/
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

# Cookiecutter calls a function of the standard library that is deprecated from 3.12 on.
pytestmark = pytest.mark.filterwarnings("ignore:.*onerror.*:DeprecationWarning")


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, with its contents; what cookiecutter keeps for itself does not count."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not any(part.endswith("-replay") for part in path.parts)
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder to generate into, deep enough for answers that climb."""
    folder = tmp_path / "a/b/c/out"
    folder.mkdir(parents=True)
    return folder


def cookiecutter(
    out: Path, *arguments: str | bytes, typed: str | None = None, **answers: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; with ``typed``, it asks and gets this."""
    command: list[str | bytes] = [str(BIN / "cookiecutter"), str(TEMPLATE), "--default-config", "-o", str(out)]
    if typed is None:
        command.append("--no-input")
    command += [*arguments, *(f"{name}={text}" for name, text in answers.items())]
    home = out.parent / "home-replay"
    return subprocess.run(
        command, env=os.environ | {"HOME": str(home)}, input=typed, capture_output=True, encoding="utf-8", check=False
    )


# --- refused ---

REFUSED = [
    # Names of folders and distributions.
    *(
        ("project_slug", text, "lower-case letters")
        for text in ("My Service", "a_b", "-a", "a-", "a--b", "1a", "é", "A")
    ),
    *(("project_slug", text, "lower-case letters") for text in ("x/", "./x", "a.b", "a\\b", "x" * 51, "~")),
    *(("project_slug", text, "choose another") for text in ("flask", "pre-commit", "prometheus-client", "pip", "con")),
    # Names of packages.
    *(("package_name", text, "lower-case letters") for text in ("a-b", "_a", "a_", "a__b", "1a", "A", "a.b", "a" * 31)),
    *(
        ("package_name", text, "choose another")
        for text in ("class", "json", "flask", "yaml", "imp", "compression", "aux")
    ),
    *(("package_name", text, "this one is for tests") for text in ("tests", "src", "conftest", "test_it")),
    # Text.
    *(("description", text, "must not be empty") for text in ("", "  ", "\n\n", "\u3000")),
    *((name, "x" * 501, "at most 500 characters, not 501") for name in ("project_name", "description", "author_name")),
    *(("description", f"a {mark} b", "leave out double braces") for mark in ("{{", "{%", "{#", "{{ 7 }}", "{{{")),
    *(("author_name", f"a{mark}", "leave out double braces") for mark in ("{{", "{%", "{#")),
    *(("description", f"a{char}b", f"U+{ord(char):04X}") for char in "\0\a\b\t\r\x1b\x7f\x80\x85\x9f\u2028\u2029"),
    *(("description", f"a{char}b", f"U+{ord(char):04X}") for char in TURNING),
    *(("author_name", f"a{char}b", f"U+{ord(char):04X}") for char in "\ud800\udcff\udfff\x0b\u202e"),
    *(("project_name", f"a{char}b", f"U+{ord(char):04X}") for char in "\n\t\u2028"),
    *(
        ("author_email", text, "team@example.com")
        for text in ("me", "@b.c", "a@b", "a@b.c ", "a b@c.d", '"a"@b.c', "a..b@c.d")
    ),
    *(
        ("author_email", text, "team@example.com")
        for text in ('a"@b.c', "a@b.c>", "é@b.c", ".a@b.c", "a@b..c", "a,b@c.d")
    ),
    # Closed questions.
    *((name, "maybe", "answer") for name in [*QUESTIONS, *MANIFEST["_answers"]]),
    *((name, "", "answer") for name in ("preset", "metrics")),
    ("metrics", "Yes", "answer yes or no."),
    ("license", "mit", "answer proprietary, MIT, Apache-2.0, BSD-3-Clause or GPL-3.0-or-later."),
    ("license", "../readme/example", "answer"),
    ("python_version", "3.10", "answer"),
]


@pytest.mark.parametrize(("name", "text", "advice"), REFUSED)
def test_refused(out: Path, capfd: pytest.CaptureFixture[str], name: str, text: str, advice: str) -> None:
    # Otherwise the package would be called after the folder, and be refused as well.
    answers = {"package_name": "orders"} | {name: text}
    with pytest.raises(FailedHookException):
        generate(out, **answers)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"{name}=")
    assert advice in line
    assert line.isprintable()
    assert len(line) < 300
    assert set(tree(out.parents[2])) == {"b", "b/c", "b/c/out"}


def test_every_problem_has_a_line(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = {"author_email": "me", "metrics": "maybe", "package_name": "json", "preset": "big", "project_slug": "A"}
    with pytest.raises(FailedHookException):
        generate(out, **wrong)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition("=")[0] for line in lines] == sorted(wrong)


PATHS = {
    "a/b": [],
    "a/b/c/": [],
    "a/../b": [],
    "../x": [],
    "../x/y": [],
    "../../x/y/../z": [],
    "{folder}/deep/and/deeper": [],
    "{folder}/b/c/out/x": [],
    # What other people have there stays.
    "old/b": ["b/c/out/old/file"],
    "../old/b/c": ["b/c/old/file"],
    "{folder}/old/b": ["old/file"],
}


@pytest.mark.parametrize("slug", few(PATHS, 1))
def test_nothing_is_left_of_a_slug_with_a_path(out: Path, slug: str) -> None:
    """Cookiecutter makes the folders before anything is checked."""
    folder = out.parents[2]
    for path in PATHS[slug]:
        (folder / path).parent.mkdir()
        (folder / path).write_text("mine")
    before = tree(folder)
    done = cookiecutter(out, project_slug=slug.format(folder=folder))
    assert done.returncode == 1
    # The folder that cookiecutter wants to remove is gone, of which it complains here, after the line.
    assert done.stderr.startswith("project_slug=")
    assert tree(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("slug", ["x/y", "../x/y", "{folder}/deep/and/deeper"])
def test_nothing_is_left_by_cruft(out: Path, tmp_path: Path, slug: str) -> None:
    """It does not tell the hook where it was told to put the service."""
    template = copy_template(tmp_path / "template-replay")
    before = tree(tmp_path)
    answers = json.dumps({"project_slug": slug.format(folder=out.parent)})
    command = [BIN / "cruft", "create", template, "--no-input", "--default-config", "--extra-context", answers]
    done = run_git(*command, cwd=out, check=False, HOME=str(tmp_path / "home-replay"))
    assert done.returncode
    assert done.stderr.startswith("project_slug=")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("slug", few(["", ".", ".."], 1))
def test_folders_that_exist_are_left_to_cookiecutter(out: Path, slug: str) -> None:
    """It refuses them before it runs a hook."""
    before = tree(out.parents[2])
    done = cookiecutter(out, project_slug=slug)
    assert done.returncode == 1
    assert "directory already exists" in done.stdout
    assert tree(out.parents[2]) == before


@pytest.mark.parametrize("slug", few(["mine", ".", "..", "link"], 1))
def test_force_on_a_folder_in_use(out: Path, slug: str) -> None:
    mine = out / "mine"
    for path in (".git/refs/heads/metrics", ".venv/bin/gunicorn", "granian.db", "README.md", "github/metrics/x.py"):
        (mine / path).parent.mkdir(parents=True, exist_ok=True)
        (mine / path).write_text(path)
    (out / "link").symlink_to("mine")
    before = tree(out.parents[2])
    done = cookiecutter(out, "-f", project_slug=slug)
    assert done.returncode == 1
    assert re.match(r"The folder .+ is not empty: choose another project_slug, or move what is there\.\n", done.stderr)
    assert tree(out.parents[2]) == before


def test_force_on_an_empty_folder(out: Path, bake: Callable[..., Service]) -> None:
    (out / "flask-service").mkdir()
    assert cookiecutter(out, "-f").returncode == 0
    assert set(bake().files) <= tree(out / "flask-service").keys()


@pytest.mark.parametrize(
    ("argument", "line"),
    few(
        [
            ("metrics=maybe", "metrics='maybe': answer yes or no."),
            (b"description=\xff", "description='\\udcff': leave out U+DCFF, which cannot be seen."),
            (b"project_slug=a\xff", "project_slug='a\\udcff': leave out U+DCFF, which cannot be seen."),
            ("description=\u202egnp.exe", "description='\\u202egnp.exe': leave out U+202E, which cannot be seen."),
        ],
        2,
    ),
)
def test_the_line_stands_alone(out: Path, argument: str | bytes, line: str) -> None:
    """The traceback that cookiecutter prints too goes elsewhere."""
    done = cookiecutter(out, argument)
    assert done.returncode == 1
    assert done.stderr == f"{line}\n"
    assert "Traceback" in done.stdout
    assert not tree(out)


@pytest.mark.parametrize("without", [False, True])
def test_a_replay_that_was_edited(out: Path, without: bool) -> None:
    """It holds what the template had worked out from the answers of before; without, it is worked out from none."""
    assert cookiecutter(out, preset="api", project_slug="first").returncode == 0
    (path,) = (out.parent / "home-replay/.cookiecutter_replay").glob("*.json")
    replay = json.loads(path.read_text())["cookiecutter"] | {"project_slug": "second", "metrics": "no"}
    kept = {name: answer for name, answer in replay.items() if not (without and name.startswith("_"))}
    path.write_text(json.dumps({"cookiecutter": kept}))
    command = [str(BIN / "cookiecutter"), str(TEMPLATE), "--replay-file", str(path), "-o", str(out)]
    environment = os.environ | {"HOME": str(out.parent / "home-replay")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    told = "__chosen does not fit the answers, which a replay cannot change: give them as question=answer.\n"
    assert (done.returncode, done.stderr) == (1, told)
    assert not (out / "second").exists()


@pytest.mark.parametrize("text", few(["{{ 7 * 7 }}", "{{", "{%", "{# hm"], 1))
def test_braces_that_are_typed(out: Path, text: str) -> None:
    """Nothing renders them on their way to the hook."""
    answers = {"description": text, "author_name": text}
    done = cookiecutter(out, typed="".join(f"{answers.get(name, '')}\n" for name in ASKED))
    assert done.returncode == 1
    assert done.stderr.startswith(f"author_name={text!r}: leave out double braces")
    assert not tree(out)


@pytest.mark.parametrize("text", few(["{{", "{% if", "{{ nothing }}"], 1))
def test_braces_in_arguments(out: Path, text: str) -> None:
    """Cookiecutter renders these, and fails by itself."""
    done = cookiecutter(out, description=text)
    assert done.returncode == 1
    assert not tree(out)


def test_needs(out: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An option that cannot stand alone, or beside another, is refused with both ways out."""
    template = tmp_path / "template"
    shutil.copytree(TEMPLATE, template, ignore=lambda *_: [".git", ".venv", "build", "tests", "bench", "docs"])
    manifest = dict(MANIFEST)
    manifest["_options"] = MANIFEST["_options"] | {
        "reports": {"needs": {"metrics": "metrics=yes"}},
        "slim": {"excludes": {"tracing": "tracing=no"}},
        "weekly": {"question": "letters", "needs": {"example": "example=yes"}},
    }
    manifest["_answers"] = MANIFEST["_answers"] | {"letters": ["none", "weekly"]}
    # Questions stand before what is computed from their answers.
    computed = {name: manifest.pop(name) for name in ("__chosen", "__modules")}
    manifest |= {"reports": "no", "slim": "no", "letters": "none", **computed}
    (template / "cookiecutter.json").write_text(json.dumps(manifest))
    with pytest.raises(FailedHookException):
        generate(out, template, reports="yes", letters="weekly", slim="yes", tracing="yes")
    assert capfd.readouterr().err.splitlines() == [
        "reports=yes needs metrics: answer metrics=yes or reports=no.",
        "slim=yes does not go with tracing: answer tracing=no or slim=no.",
        "letters=weekly needs example: answer example=yes or letters=none.",
    ]
    generate(out, template, reports="yes", metrics="yes", letters="none", slim="yes")


# --- accepted ---

ACCEPTED = [
    'Say "hi"',
    "It's ''' and \"\"\"",
    "C:\\new\\table \\u0041 \\",
    "one { brace } and two }} after %} and #}",
    "two\nlines",
    "a\n\n\n- b\n# c\n",
    "🚀 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 and one of Unicode 16: \U0001fae9",
    "\U0001d518\U0001d52b\U0001d526 e\u0301 o\u0302\u0300 日本語 हिन्दी עברית العربية",
    "\ufeffbom, \u200bzero width, \xa0no break\xa0here, \ue000 private, \xadsoft",
    "# no heading #",
    "C# and F#",
    "- no list",
    "+ no list",
    "* no list",
    "1. no list",
    "12) no list",
    "3.",
    "3.5 times",
    "> no quote",
    "---",
    "===",
    "```\nno code\n```",
    "    no code",
    "a   b  \nc",
    "~~~",
    "*a* _b_ __c__ `d` ``e`` ~~f~~",
    "[a](http://b) ![c](d) [e][f] [g]: /h",
    "<b>bold</b> <http://a.b> <!-- c --> <script>alert(1)</script>",
    "&amp; &copy; &#35; &#x22; & &notanentity;",
    "| a | b |\n| --- | --- |",
    "http://www.example.com/a_b_c?d=e&f=g",
    'key = "value" # comment',
    "]]\n[project.scripts]",
    "$HOME ${HOME} $(id) `id` %s %(a)s",
    "\\",
    '"',
    "!",
    "." * 500,
    '"' * 500,
    "Doe, Jane <jane@example.com>; (Team)",
]


def check(service: Service, description: str, author: str) -> None:
    """The answers stand in the service as they were given, and it is in order."""
    project = tomllib.loads(service.read("pyproject.toml"))["project"]
    assert project["description"] == description
    authors = project["authors"]
    assert [entry["name"] for entry in authors if "name" in entry] == [author]
    assert [entry["email"] for entry in authors if "email" in entry] == [service.answers["author_email"]]
    assert author in service.read("LICENSE")
    assert plain(service)[:3] == [
        ("h1", one_line(service.answers["project_name"])),
        ("p", one_line(description)),
        ("h2", "Start"),
    ]
    for path, text in service.texts.items():
        if path.endswith(".py"):
            compile(text, path, "exec")


def plain(service: Service) -> list[tuple[str, str]]:
    """The blocks of the README; the first ones are plain text."""
    tokens = MarkdownIt("commonmark").parse(service.read("README.md"))
    blocks = [(opening.tag, inline) for opening, inline in pairwise(tokens) if inline.type == "inline"]
    for _, inline in blocks[:3]:
        assert {child.type for child in inline.children or []} <= {"text"}
    return [(tag, one_line("".join(child.content for child in inline.children or []))) for tag, inline in blocks]


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("text", few(ACCEPTED, 8))
def test_accepted(out: Path, text: str) -> None:
    check(generate(out, description=text, author_name=text, license="MIT"), text, text)


@pytest.mark.parametrize(
    "name", few(['"Quoted" \\ <b>', "1. Möwe 🐦", "# C# *star*", "日本語", "🚀", "x" * 500, "Very " * 20], 3)
)
def test_names_that_people_say(out: Path, name: str) -> None:
    """The names that are derived from them are accepted too."""
    service = generate(out, project_name=name)
    check(service, MANIFEST["description"], MANIFEST["author_name"])
    assert len(service.answers["package_name"]) <= 30


@pytest.mark.parametrize(
    "name", few(["app", "client", "runner", "service", "metrics", "example", "core", "match", "a", "x" * 30], 2)
)
def test_package_names(out: Path, name: str) -> None:
    """Those of options and of fixtures are as good as any, and their formatting is right."""
    service = generate(out, package_name=name, preset="full")
    assert service.chosen > {"metrics", "example"}
    assert f"src/{name}/extensions/metrics.py" in service.files
    run(service.path, "ruff", "check", "--no-cache")
    run(service.path, "ruff", "format", "--check", "--no-cache")


LONG = ("\n".join(ACCEPTED)[:500], 'Doe, "J" <x>\n\\ & Söhne 🚀')


@pytest.mark.slow
@pytest.mark.parametrize(
    ("description", "author"),
    some([LONG, ('"\\"🚀{}#\u0301', "🏴 ; (c) @ \\"), ("x", "\xa0.")], LONG),
)
def test_installed(out: Path, description: str, author: str) -> None:
    """What was accepted is built, installed and tested."""
    service = generate(out, description=description, author_name=author, package_name="app", preset="full")
    check(service, description, author)
    run(service.path, "make", "test", "ARGS=tests/test_app.py tests/test_imports.py")
    script = "from importlib.metadata import metadata; print(metadata('flask-service').json['summary'])"
    assert one_line(run(service.path, ".venv/bin/python", "-X", "utf8", "-c", script)) == one_line(description)


# --- any text at all ---

PIECES = [
    "{{",
    "{%",
    "{#",
    "}",
    "\\",
    '"',
    "'",
    "\n",
    "#",
    "/",
    "../",
    ".",
    "-",
    "_",
    "1.",
    "*",
    "[",
    "<",
    "&",
    "`",
    "🚀",
    "a",
]
ANY_TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.characters(exclude_categories=())), max_size=10).map("".join)
VISIBLE = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters=TURNING)
GOOD_TEXT = (
    st.lists(st.one_of(st.sampled_from([piece for piece in PIECES if "{" not in piece]), VISIBLE), max_size=30)
    .map("".join)
    .filter(lambda text: text.strip() and not re.search(r"{[{%#]", text))
)
IN_PROCESS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def usual(name: str) -> list[str]:
    return (
        MANIFEST["_answers"].get(name, ["no", "yes"])
        if name in QUESTIONS
        else {"preset": list(PRESETS)}.get(name, ["orders"])
    )


#: Whatever is thrown at the questions, some of them being left alone or answered well.
HOSTILE = st.fixed_dictionaries(
    {}, optional={name: st.one_of(st.sampled_from(usual(name)), ANY_TEXT) for name in ASKED}
)


def any_answers(
    tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str], answers: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    out = folder / "a/b/c/out"
    out.mkdir(parents=True)
    before = tree(folder)
    capfd.readouterr()
    try:
        service = generate(out, **answers)
    except FailedHookException:
        lines = capfd.readouterr().err.splitlines()
        assert lines
        assert all(re.match(r"(\w+)=", line) and line.partition("=")[0] in ASKED for line in lines)
        assert tree(folder) == before
    except (OutputDirExistsException, OSError, ValueError):
        # The folder is there, or no folder can be called so: cookiecutter fails before it runs a hook.
        assert not re.fullmatch(r"[a-z0-9-]{1,50}", answers["project_slug"])
        assert tree(folder) == before
    else:
        check(service, service.answers["description"], service.answers["author_name"])
        assert {name: service.answers[name] for name in answers} == answers


generated = given(answers=HOSTILE.filter(lambda answers: not answers.get("project_slug", "").startswith("/")))
test_any_answers = settings(IN_PROCESS, max_examples=6)(generated(any_answers))
test_many_answers = pytest.mark.slow(settings(IN_PROCESS, max_examples=40)(generated(any_answers)))


def any_visible_text(tmp_path_factory: pytest.TempPathFactory, description: str, author: str, name: str) -> None:
    out = tmp_path_factory.mktemp("good") / "out"
    names = {"project_slug": "orders", "package_name": "orders"}
    service = generate(out, description=description, author_name=author, project_name=name, **names)
    check(service, description, author)


generated = given(description=GOOD_TEXT, author=GOOD_TEXT, name=GOOD_TEXT.filter(lambda text: "\n" not in text))
test_any_visible_text_is_accepted = settings(IN_PROCESS, max_examples=6)(generated(any_visible_text))
test_many_visible_texts_are_accepted = pytest.mark.slow(
    settings(IN_PROCESS, max_examples=40)(generated(any_visible_text))
)


# --- asked ---


def test_enter_keeps_the_answers_of_the_preset(out: Path, bake: Callable[..., Service]) -> None:
    command = [str(TEMPLATE), "--default-config", "-o", str(out), "preset=full"]
    environment: Any = os.environ | {"HOME": str(out.parent / "home-replay"), "TERM": "dumb"}
    environment |= {"COLUMNS": "400", "LINES": "24"}  # Rich believes neither without the other.
    child = pexpect.spawn(
        str(BIN / "cookiecutter"), command, env=environment, encoding="utf-8", dimensions=(24, 400), timeout=30
    )
    for number, name in enumerate(ASKED, 1):
        words = f"[{number}/{len(ASKED)}] {MANIFEST['__prompts__'][name]}".split()
        child.expect(r"\s+".join(map(re.escape, words)))  # A terminal without abilities has 80 columns.
        child.sendline("")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    made = {path: data.decode() for path, data in tree(out / "flask-service").items() if data is not None}
    made.pop(".cruft.json", None)
    assert made == bake(preset="full").texts


# --- the hook itself ---


def test_reserved_names_are_up_to_date() -> None:
    """All that a service installs is in the list; what it no longer installs may stay: make reserved."""
    names = closure()
    assert {"flask", "yaml", "pyyaml", "pytest-cov", "pytest_cov"} <= names
    assert not names - reserved()


@pytest.mark.parametrize("name", ["pre_gen_project", "post_gen_project"])
def test_hooks_need_nothing_but_an_old_python(name: str) -> None:
    """Cookiecutter runs them with its own Python, which may be 3.10; older ones run the first as far as its refusal."""
    text = (TEMPLATE / f"hooks/{name}.py").read_text()
    module = ast.parse(text, feature_version=(3, 8))
    imports = {node.names[0].name for node in ast.walk(module) if isinstance(node, ast.Import)}
    imports |= {str(node.module) for node in ast.walk(module) if isinstance(node, ast.ImportFrom)}
    assert imports <= sys.stdlib_module_names
    # Answers come in once, in one form, and nothing else is rendered.
    assert re.findall(r"{[{%#].*?[}%#]}", text) == ["{{cookiecutter | jsonify | jsonify}}"]


@pytest.mark.parametrize("version", [(3, 8, 20), (3, 9, 1)])
def test_an_old_python_is_refused_in_a_line(version: tuple[int, ...], tmp_path: Path) -> None:
    text = (TEMPLATE / "hooks/pre_gen_project.py").read_text()
    # What is new in later ones is gone.
    old = f"import sys; sys.version_info = {version}; del sys.stdlib_module_names\n"
    done = subprocess.run([sys.executable, "-c", old + text], cwd=tmp_path, capture_output=True, text=True, check=False)
    line = f"Cookiecutter runs on Python {version[0]}.{version[1]}: it needs 3.10 or newer here.\n"
    assert (done.returncode, done.stderr) == (1, line)


# --- answers that are no text ---

UNTYPED = {
    "api: yes": 'api=true: write a text, in quotes, such as "yes".',
    "api: null": 'api=null: write a text, in quotes, such as "yes".',
    "api: {a: b}": 'api={"a": "b"}: write a text, in quotes, such as "yes".',
    "sql: no": 'sql=false: write a text, in quotes, such as "none".',
    "description: null": "description=null: write a text, in quotes.",
    "author_name: on": "author_name=true: write a text, in quotes.",
    "python_version: 3.10": "python_version='3.1': answer 3.13, 3.12, 3.11 or 3.14.",
    "python_version: 3.12": "",
    "project_name: 7": "",
    "package_name: 7": "package_name='7': use lower-case letters",
}


@pytest.mark.parametrize("written", few(UNTYPED, 1))
def test_a_configuration_with_values_that_are_no_text(out: Path, written: str) -> None:
    """They are taken for what was meant, or refused in a line."""
    config = out.parent / "config-replay"
    config.write_text(f"default_context:\n  {written}\n")
    command = [BIN / "cookiecutter", TEMPLATE, "--no-input", "--config-file", config, "-o", out]
    environment = os.environ | {"HOME": str(out.parent / "home-replay")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert [done.returncode, len(lines)] == ([1, 1] if UNTYPED[written] else [0, 0])
    assert done.stderr.startswith(UNTYPED[written])


@pytest.mark.slow
@pytest.mark.parametrize("written", ['{"description": null}', '{"description": {}}', '{"api": true}'])
def test_cruft_with_values_that_are_no_text(out: Path, tmp_path: Path, written: str) -> None:
    template = copy_template(tmp_path / "template-replay")
    command = [BIN / "cruft", "create", template, "--no-input", "--default-config", "--extra-context", written]
    done = run_git(*command, cwd=out, check=False, HOME=str(tmp_path / "home-replay"))
    assert done.returncode
    assert "write a text, in quotes" in done.stderr.splitlines()[0]
    assert not tree(out)


def test_the_texts_above_are_what_they_claim() -> None:
    assert unicodedata.category("\u202e") == "Cf"
    assert all(unicodedata.bidirectional(char) in "AL ALM L LRE LRI LRO PDF PDI R RLE RLI RLO FSI" for char in TURNING)
