"""How much code an owner gets: counted, and bounded. docs/presets/ prints it."""

import ast
import io
import tokenize
from collections.abc import Callable

import pytest
from conftest import Service

#: Lines of code in src/ that the service of a preset has at most.
MOST = {"minimal": 546, "api": 1807, "ingest": 1976, "website": 2938, "full": 8009}
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """Count the lines of a module, without blank lines, comments and docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in LAYOUT]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - docstrings)


def size(service: Service) -> int:
    return sum(code_lines(text) for name, text in service.texts.items() if name[:4] == "src/" and name[-3:] == ".py")


def test_what_counts() -> None:
    assert (
        code_lines('"""A module."""\n\n# A comment.\nif True:\n    print(\n        """a\nb"""\n    )  # Another.\n')
        == 5
    )


@pytest.mark.parametrize("preset", MOST)
def test_a_service_is_small(preset: str, render: Callable[..., Service]) -> None:
    found = size(render(preset=preset))
    print(f"{preset}: {found} lines of code in src/")
    assert found <= MOST[preset]
