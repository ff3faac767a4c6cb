"""The names that a service may not have, since it or its tools would install something else under them.

As a program, it writes them into the pre-generation hook.
"""

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import PurePosixPath
from textwrap import fill

from jinja2 import Environment, FileSystemLoader
from manifest import MANIFEST, OPTIONS, TEMPLATE, TREE, requirements
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOOK = TEMPLATE / "hooks/pre_gen_project.py"
BLOCK = re.compile(r'(RESERVED = frozenset\(\n    """\n)(.*?)(^    """)', re.DOTALL | re.MULTILINE)

#: What makes environments and distributions.
TOOLS = "flit flit_core pip python setuptools uv uvx wheel"
#: Modules of the standard library of some Python from 3.11 on, but not of each.
SOME_PYTHONS = """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils imghdr imp lib2to3 mailcap
    msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib test uu xdrlib
"""
#: No folder can be called so on Windows.
DEVICES = "aux con nul prn " + " ".join(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))
#: Folders that tools pass over, wherever they lie: https://docs.astral.sh/ruff/settings/#exclude
PASSED_OVER = "build dist node_modules site-packages venv"


def developed() -> list[str]:
    """The requirements of a service's dependency groups, before options add to them."""
    environment = Environment(loader=FileSystemLoader([TREE, TEMPLATE / "templates"]), **MANIFEST["_jinja2_env_vars"])
    text = environment.get_template("pyproject.toml").render(cookiecutter=MANIFEST | {"__chosen": " ".join(OPTIONS)})
    groups = tomllib.loads(text)["dependency-groups"].values()
    return [line for group in groups for line in group if isinstance(line, str)]


def closure() -> set[str]:
    """The names of everything that a service with all options installs: distributions and modules."""
    names: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in requirements() + developed()]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        fresh = {(name, extra) for extra in ("", *requirement.extras)} - seen
        seen |= fresh
        names |= {name, name.replace("-", "_")}
        try:
            found = distribution(name)
        except PackageNotFoundError:  # Needed elsewhere: on Windows, say, or by another Python.
            continue
        names |= modules(found)
        needed = [Requirement(line) for line in found.requires or []]
        waiting += [line for line in needed if any(wanted(line, extra) for _, extra in fresh)]
    return {name for name in names if re.fullmatch(r"[a-z][a-z0-9_-]*", name)}


def wanted(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement holds for an extra on this machine, or for none on any machine."""
    marker = requirement.marker
    if marker is None or "extra" not in str(marker):
        return not extra
    return bool(extra) and marker.evaluate({"extra": extra})


def modules(found: Distribution) -> set[str]:
    """The top-level modules and packages that a distribution installs."""
    files = [PurePosixPath(file) for file in found.files or [] if file.suffix in (".py", ".so", ".pyd")]
    names = {file.parts[0].split(".")[0] for file in files if ".." not in file.parts}
    # Compiled modules share one with a name that is new in each release.
    return {name for name in names if not name.endswith("__mypyc")}


def reserved() -> set[str]:
    """The names that the hook has."""
    block = BLOCK.search(HOOK.read_text())
    assert block, f"{HOOK} has no list of names"
    return set(block[2].split())


if __name__ == "__main__":
    names = closure().union(*map(str.split, (TOOLS, SOME_PYTHONS, DEVICES, PASSED_OVER)))
    lines = fill(" ".join(sorted(names)), 120, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    HOOK.write_text(BLOCK.sub(rf"\g<1>{lines}\n\g<3>", HOOK.read_text()))
    print(f"{len(names)} names, {len(names - reserved())} of them not written")
