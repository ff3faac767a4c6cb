"""No private name of a library is used in services: the next release may do without it."""

import ast
from collections.abc import Iterator

from manifest import TREE, is_left_by_tools

#: Their documentation tells of them: https://werkzeug.palletsprojects.com/en/stable/local/,
#: https://docs.python.org/3/library/enum.html#supported-sunder-names
DOCUMENTED = {"_get_current_object", "_name_", "_value_"}


def private_names(source: str) -> Iterator[str]:
    """Names with one underscore before them that are not a module's own or an object's own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        ):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.startswith("_") and not name.startswith("__"))


def test_each_kind_is_found() -> None:
    source = "from a._b import c\nfrom a import _d\nx._e\nself._own\nfrom .own import _own\nx.__class__"
    assert sorted(private_names(source)) == ["_b", "_d", "_e"]


def test_no_private_name_of_a_library_is_used() -> None:
    found = {}
    for path in TREE.glob("src/**/*.py"):
        if path.name != "modules.py" and not is_left_by_tools(path.relative_to(TREE).as_posix()):
            found[path.name] = set(private_names(path.read_text())) - DOCUMENTED
    assert len(found) > 20
    assert {name: names for name, names in found.items() if names} == {}
