"""What cookiecutter makes of answers, byte for byte and in milliseconds, without a folder and without hooks.

Templates are compiled once, and only files that the answers choose are rendered. ``test_rendering.py`` compares.
"""

from fnmatch import fnmatch
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from jinja2 import FileSystemLoader
from manifest import MANIFEST, TEMPLATE, TREE, owners, tree_files


@cache
def environment() -> StrictEnvironment:
    env = StrictEnvironment(
        context={"cookiecutter": MANIFEST}, keep_trailing_newline=True, **MANIFEST["_jinja2_env_vars"]
    )
    env.loader = FileSystemLoader([TREE, TEMPLATE / "templates"])
    return env


@cache
def files() -> dict[str, tuple[set[str], bytes | None]]:
    """The files of the tree: whose each is, and its content if it is copied as it lies there."""
    found = {}
    for path in tree_files():
        names = [path, *map(str, PurePosixPath(path).parents)]
        copied = any(fnmatch(name, pattern) for pattern in MANIFEST["_copy_without_render"] for name in names)
        found[path] = owners(path), (TREE / path).read_bytes() if copied else None
    return found


def resolve(answers: dict[str, str]) -> dict[str, Any]:
    """All answers, those that were not given and those that are computed included."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=answers)
    resolved: dict[str, Any] = prompt_for_config(context, no_input=True)
    return resolved


def render(answers: dict[str, Any]) -> dict[str, str]:
    """The texts of a service by their paths; ``answers`` are resolved."""
    chosen = set(answers["__chosen"].split())
    texts = {}
    for path, (whose, content) in files().items():
        if whose <= chosen:
            name = path.replace("{{cookiecutter.package_name}}", answers["package_name"])
            rendered = environment().get_template(path).render(cookiecutter=answers) if content is None else None
            texts[name] = rendered if rendered is not None else (content or b"").decode()
    return dict(sorted(texts.items()))
