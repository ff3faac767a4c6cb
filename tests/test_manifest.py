"""The manifest and the template tree agree, and an option that was not chosen leaves no trace."""

import ast
import os
import re
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
from conftest import Service
from jinja2 import Environment, nodes
from manifest import (
    ALWAYS,
    MANIFEST,
    OPTIONS,
    PRESETS,
    QUESTIONS,
    TEMPLATE,
    TREE,
    allowed,
    answers_of,
    chosen,
    default,
    is_copied,
    listed,
    owners,
    parts,
    settings,
    stands,
    stem,
    tree_files,
)
from matrix import few
from packaging.requirements import Requirement
from running import run

CORE_FILES = TEMPLATE / "tests/core_files.txt"
ASKED = [name for name in MANIFEST if not name.startswith("_")]
#: Core files whose names are what everybody calls them, though an option is called so too.
CONVENTIONAL = {".env.example"}
#: Python sources that are rendered: the list of modules, and the one test file that names the package.
RENDERED = {"src/{{cookiecutter.package_name}}/modules.py", "tests/conftest.py"}


# --- the manifest ---


@pytest.mark.parametrize("preset", PRESETS)
def test_coverage_is_asked_of_the_owners_code_alone(preset: str, render: Callable[..., Service]) -> None:
    service = render(preset=preset)
    omitted = tomllib.loads(service.read("pyproject.toml"))["tool"]["coverage"]["run"]["omit"]
    # Others would match folders above the project, too.
    assert [pattern for pattern in omitted if not pattern.startswith("*/src/flask_service/")] == []
    asked = [name for name in service.files if not any(fnmatch(f"/{name}", pattern) for pattern in omitted)]
    template = re.compile(r"src/\w+/(core|extensions)/.*(?<!extensions/__init__)\.py")
    assert [name for name in asked if template.fullmatch(name)] == []
    assert "src/flask_service/blueprints/main.py" in asked


@pytest.mark.parametrize("name", OPTIONS)
def test_option(name: str) -> None:
    """It is described, has marks, is chosen by a question or implied, and its own tests come with it."""
    option = OPTIONS[name]
    assert option["description"].strip()
    implied = any(name in other.get("implies", []) for other in OPTIONS.values())
    assert option.get("always") or option.get("question", name) in QUESTIONS or implied
    # A role that has no file of its own in every service that has it leaves no mark.
    assert option["marks"] or implied
    for implication in option.get("implies", []):
        assert set(OPTIONS[implication].get("implies", [])) <= set(option["implies"]), f"{implication} implies more"
    for needed, answer in option.get("needs", {}).items():
        question, _, value = answer.partition("=")
        assert needed in chosen(answers_of("minimal") | {question: value})
    for excluded, answer in option.get("excludes", {}).items():
        question, _, value = answer.partition("=")
        assert excluded not in chosen(answers_of("minimal") | {question: value})
    for setting in option.get("settings", []):
        assert setting["name"].isupper()
        assert setting["help"].strip()
        assert isinstance(setting["example"], str)
    for job in option.get("pipeline", []):
        assert job.keys() <= {"target", "history", "engine"}
    if "service" in option:
        assert option["service"].keys() - {"published"} == {"image", "port", "environment", "health", "tests"}
        assert all("HOST" in url for url in option["service"]["tests"].values())
    assert option.get("updates", {}).keys() <= {"dependabot", "renovate"}
    tests = [path for path in tree_files() if path.startswith("tests/") and path.endswith(".py")]
    own = [path for path in tests if name in owners(path)]
    if "untested" in option:
        assert not own
        print(f"{name} has no tests of its own: {option['untested']}")
    else:
        assert own, f"{name} has no test in the tree, and no reason for that under `untested`"


def test_prompts() -> None:
    """Every question is asked in words, and these name all answers."""
    assert list(MANIFEST["__prompts__"]) == ASKED
    for question in QUESTIONS.keys() | MANIFEST["_answers"].keys():
        for answer in MANIFEST["_answers"].get(question, ["no", "yes"]):
            assert re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", MANIFEST["__prompts__"][question]), question


def test_answers_are_options() -> None:
    for question, answers in QUESTIONS.items():
        assert default(question, "minimal") in answers
        options = {name for name, option in OPTIONS.items() if option.get("question", name) == question}
        assert set(answers) - {"none"} == (options if question in MANIFEST["_answers"] else {"yes", "no"})
    assert MANIFEST["_answers"]["preset"] == list(PRESETS)
    assert MANIFEST["preset"] == "minimal" == next(iter(PRESETS))
    licenses = {path.stem for path in (TEMPLATE / "templates/licenses").iterdir()}
    assert set(MANIFEST["_answers"]["license"]) == licenses
    assert all(
        MANIFEST[question] in answers for question, answers in MANIFEST["_answers"].items() if question not in QUESTIONS
    )


def test_presets() -> None:
    for name, preset in PRESETS.items():
        assert all(answer in QUESTIONS[question] for question, answer in preset.items()), name
        assert allowed(answers_of(name)), name
    assert not PRESETS["minimal"]
    assert PRESETS["full"].keys() == QUESTIONS.keys()
    assert not {"no", "none"} & set(PRESETS["full"].values())


# --- the tree ---


def near_misses(path: str) -> set[str]:
    """The options whose names are only a part of what a component says, so that the path is not theirs."""
    found = set()
    for part in parts(path):
        words = re.split(r"[-_.]", part)
        whole = stem(part)
        if whole in OPTIONS:  # Its own words are not missed; what follows the first dot is.
            words = part.lstrip(".").split(".")[1:]
        joined = f" {' '.join(words)} "
        found |= {name for name in OPTIONS if f" {name.replace('_', ' ')} " in joined}
    return found


@pytest.mark.parametrize(
    "path", ["metrics-x.yaml", "compose.metrics.yaml", "tests/test_metrics_retry.py", "x/y_ci.github"]
)
def test_a_near_miss_is_found(path: str) -> None:
    assert near_misses(path)


@pytest.mark.parametrize("path", ["metrics.py", "tests/test_metrics.py", ".github/x.yml", "tests/metrics/test_x.py"])
def test_a_hit_is_no_near_miss(path: str) -> None:
    assert not near_misses(path)
    assert owners(path)


def test_no_near_misses() -> None:
    known = CONVENTIONAL.union(*map(listed, OPTIONS.values()))
    wrong = {path: near_misses(path) for path in tree_files() if path not in known and near_misses(path)}
    assert not wrong, "name the file after the option alone, or put it into a folder of that name"


def test_core_files() -> None:
    """What every service has grows on purpose only: UPDATE_GOLDEN=1 writes the list."""
    core = "".join(f"{path}\n" for path in tree_files() if owners(path) <= ALWAYS)
    if os.environ.get("UPDATE_GOLDEN"):
        CORE_FILES.write_text(core)
    assert CORE_FILES.read_text() == core


def test_paths_exist() -> None:
    """What an option lists is there, and would not be found by its name anyway."""
    for name, option in OPTIONS.items():
        for path in listed(option):
            assert (TREE / path).exists(), f"{name}: {path}"
            assert name not in {stem(part) for part in parts(path)}, f"{name}: {path} need not be listed"
        for module in option.get("modules", []):
            base = TREE / "src/{{cookiecutter.package_name}}" / module.replace(".", "/")
            assert base.is_dir() or base.with_suffix(".py").exists(), f"{name}: {module}"
        named = [option[field] for field in ("targets", "compose") if field in option]
        named += [f"kubernetes/base/{file}" for file in option.get("resources", [])]
        fixtures = [f"tests/{module.replace('.', '/')}" for module in option.get("fixtures", [])]
        named += [path if (TREE / path).is_dir() else f"{path}.py" for path in fixtures]
        for path in named:
            assert (TREE / path).exists(), f"{name}: {path}"
            assert name in owners(path), f"{name}: {path} is not its own"
        assert all(PurePosixPath(folder).is_absolute() for folder in option.get("folders", []))
        if "passwords" in option:
            assert all(password in (TREE / option["compose"]).read_text() for password in option["passwords"]), name


def test_sections_of_the_readme_are_those_of_options() -> None:
    folder = TEMPLATE / "templates/readme"
    found = [*folder.iterdir(), *(folder / "without").iterdir()]
    assert {path.stem for path in found} - {"without"} <= OPTIONS.keys()


# --- Jinja ---


def test_python_has_no_jinja() -> None:
    rendered = {
        path for path in tree_files() if path.endswith(".py") and re.search(r"{[{%#]", (TREE / path).read_text())
    }
    assert rendered == RENDERED
    # And in these no statements: what has to be computed is computed in cookiecutter.json.
    assert not [path for path in rendered if "{%" in (TREE / path).read_text()]


def test_python_is_copied() -> None:
    """All but two files of Python are not even rendered: braces in them are their own, and generating is faster."""
    assert {path for path in tree_files() if path.endswith(".py") and not is_copied(path)} == RENDERED
    assert not [path for path in tree_files() if is_copied(path) and "cookiecutter." in (TREE / path).read_text()]


def options_in_tags(text: str) -> Iterator[str]:
    """The options and questions that the tags of a Jinja template name."""
    tree = Environment().parse(text)
    names = OPTIONS.keys() | QUESTIONS.keys()
    for node in tree.find_all((nodes.Const, nodes.Getattr)):
        value = node.value if isinstance(node, nodes.Const) else node.attr
        if value in names and (isinstance(node, nodes.Const) or node.node == nodes.Name("cookiecutter", "load")):
            yield value


@pytest.mark.parametrize(
    "text", ["{% if cookiecutter.metrics == 'yes' %}", "{% if 'github' in chosen %}", "{% if cookiecutter['ci'] %}"]
)
def test_an_option_in_a_tag_is_found(text: str) -> None:
    assert list(options_in_tags(text + "{% endif %}"))


def test_tags_name_no_option() -> None:
    """So their number does not grow with the options: shared files loop over them."""
    for path in [
        *(TREE / path for path in tree_files() if not is_copied(path)),
        *(TEMPLATE / "templates").rglob("*.*"),
    ]:
        assert not list(options_in_tags(path.read_text())), path


def test_the_hook_is_short_and_names_no_option() -> None:
    hook = TEMPLATE / "hooks/post_gen_project.py"
    with tokenize.open(hook) as file:
        silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
        lines = {token.start[0] for token in tokenize.generate_tokens(file.readline) if token.type not in silent}
    docstring = ast.parse(hook.read_text()).body[0]
    print(f"{len(lines)} lines")
    assert len(lines) - (docstring.end_lineno or 0) <= 91  # of which 20 remove, 26 unmark, and 40 record
    assert not set(re.findall(r"\w+", hook.read_text())) & (OPTIONS.keys() | QUESTIONS.keys())


# --- generated services ---


def cases() -> dict[str, dict[str, str]]:
    """Minimal, full, every answer alone, and every answer alone missing; with what they need."""
    found: dict[frozenset[str], tuple[str, dict[str, str]]] = {}
    for preset in ("minimal", "full"):
        changes = [(preset, {}), *((f"{q}={a}", {q: a}) for q, answers in QUESTIONS.items() for a in answers)]
        for label, change in changes:
            answers = answers_of(preset) | change
            while lacking := [name for name in chosen(answers) if not stands(name, chosen(answers))]:
                option = OPTIONS[lacking[0]]
                if preset == "minimal":
                    answers |= dict(answer.split("=") for answer in option["needs"].values())
                else:
                    answers[option.get("question", lacking[0])] = "none" if "question" in option else "no"
            found.setdefault(chosen(answers), (label if label == preset else f"{preset} {label}", answers))
    return dict(found.values())


CASES = cases()


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def service(request: pytest.FixtureRequest, render: Callable[..., Service]) -> Service:
    return render(**request.param)


def test_options_leave_their_marks_and_no_others(service: Service) -> None:
    answers = {question: service.answers[question] for question in QUESTIONS}
    assert service.chosen == chosen(answers)
    package = service.answers["package_name"]
    expected = [path for path in tree_files() if owners(path) <= service.chosen]
    assert service.files == sorted(path.replace("{{cookiecutter.package_name}}", package) for path in expected)
    text = "\0".join(f"{path}\0{text}" for path, text in service.texts.items())
    for name, option in OPTIONS.items():
        for mark in option["marks"]:
            assert (mark in text) == (name in service.chosen), f"{name}: {mark}"
    lower = text.lower()
    for name in distributions(OPTIONS.keys()) - distributions(service.chosen):
        # To look for the name first is thirty times as fast.
        found = name.lower() in lower and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE)
        assert not found, name
    for name in settings(set(OPTIONS)).keys() - settings(service.chosen):
        assert name not in text
    for name in settings(service.chosen):
        assert f"#{name}=" in service.read(".env.example")
        assert f"| `{name}` |" in service.read("README.md")


#: Makes the application of a service, and prints the settings that it reads.
READS = """
from PACKAGE import create_app
from PACKAGE.core.settings import Env

made, init = [], Env.__init__
Env.__init__ = lambda self, *values: (made.append(self), init(self, *values))[1]
create_app({"APP_ENV": "testing"})
print(*made[0].read)
"""


@pytest.mark.parametrize("case", few(["full", *(case for case in CASES if re.match("full (sql|server)=", case))], 1))
def test_every_setting_is_told(case: str, bake: Callable[..., Service]) -> None:
    """What the code reads is what the manifest says, and so what ``.env.example`` and the README name."""
    service = bake(**CASES[case])
    code = READS.replace("PACKAGE", service.answers["package_name"])
    read = run(service.path, sys.executable, "-Bc", code, PYTHONPATH=str(service.path / "src")).split()
    assert set(read) == settings(service.chosen).keys()


def distributions(names: set[str]) -> set[str]:
    """What options require, as names of distributions."""
    lines = [line for name in names for key in ("requires", "develops") for line in OPTIONS[name].get(key, [])]
    return {Requirement(line).name for line in lines}


def test_minimal_is_small(bake: Callable[..., Service]) -> None:
    minimal = bake()
    files = [path for path in minimal.files if not path.startswith("tests/")]
    lines = sum(len(minimal.read(path).splitlines()) for path in files if path.endswith(".py"))
    print(f"minimal: {len(files)} files and {lines} lines of Python without tests")
    assert len(files) < 35


def test_equal_answers_are_baked_once(bake: Callable[..., Service]) -> None:
    assert bake(metrics="yes", ci="none") is bake(ci="none", metrics="yes")
    assert bake().path != bake(metrics="yes").path
    assert {path.name for path in Path(bake().path).parent.iterdir()} == {"flask-service"}
