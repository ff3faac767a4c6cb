"""What cookiecutter makes of answers, byte for byte and in milliseconds, without a folder and without hooks.

Templates are compiled once, and only files that the answers choose are rendered. ``test_rendering.py`` compares.
"""

import ast
import re
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any

from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from jinja2 import FileSystemLoader
from manifest import MANIFEST, OPTIONS, TEMPLATE, TREE, is_copied, owners, tree_files


@cache
def environment() -> StrictEnvironment:
    env = StrictEnvironment(
        context={"cookiecutter": MANIFEST}, keep_trailing_newline=True, **MANIFEST["_jinja2_env_vars"]
    )
    env.loader = FileSystemLoader([TREE, TEMPLATE / "templates"])
    return env


@cache
def of_the_hook() -> dict[str, Any]:
    """``plain`` and ``without`` of the hook, which is no module: they say what a text is without some options."""
    hook = ast.parse((TEMPLATE / "hooks/post_gen_project.py").read_text())
    names = {"VALUE", "MARK", "plain", "without"}
    wanted = [node for node in hook.body if names & {getattr(node, "name", ""), ast.unparse(node).split(" = ")[0]}]
    found: dict[str, Any] = {"re": re}
    exec(compile(ast.Module(wanted, []), "hook", "exec"), found)  # noqa: S102 - it is our own
    return found


def said(path: str, text: str, chosen: AbstractSet[str]) -> str:
    """What a file says in a service with these options."""
    marking = {name for name, option in OPTIONS.items() if option.get("texts")}
    for option in marking - chosen if path.endswith((".html", ".py", ".txt")) else ():
        text = of_the_hook()["plain"](text, option)
    if re.match("src/[^/]+/blueprints/", path):
        for argument in [name for option in OPTIONS.keys() - chosen for name in OPTIONS[option].get("arguments", [])]:
            text = of_the_hook()["without"](text, argument)
    return text


@cache
def files() -> dict[str, tuple[AbstractSet[str], bytes | None]]:
    """The files of the tree: whose each is, and its content if it is copied as it lies there."""
    found = {}
    for path in tree_files():
        found[path] = owners(path), (TREE / path).read_bytes() if is_copied(path) else None
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
            texts[name] = said(path, rendered if rendered is not None else (content or b"").decode(), chosen)
    return dict(sorted(texts.items()))
