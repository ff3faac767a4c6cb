"""Contract first: typed views and schemas from an OpenAPI document, to be filled in.

``make stubs CONTRACT=orders.json`` in a service clones the template and runs this in the service's folder. The schemas
come from datamodel-code-generator, which uv fetches for the occasion:
https://github.com/koxudaxi/datamodel-code-generator
"""

import ast
import json
import keyword
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from urllib.parse import unquote

import click

GENERATOR = "datamodel-code-generator>=0.89,<0.90"
OPTIONS = [
    *("--input-file-type=openapi", "--output-model-type=msgspec.Struct", "--target-python-version=3.11"),
    *("--use-annotated", "--use-standard-collections", "--use-union-operator", "--field-constraints"),
    *("--keyword-only", "--snake-case-field", "--use-schema-description", "--output-datetime-class=datetime"),
    *("--collapse-root-models", "--disable-future-imports", "--disable-timestamp", "--formatters=builtin"),
]
METHODS = ("get", "post", "put", "patch", "delete")
#: What ``contract.py`` answers by itself.
OWN = {"Problem", "Detail"}
IMPLIED = {400, 412, 413, 415, 422, 428, 500}
ZONED = "Annotated[datetime, Meta(tz=True)]"
#: Names that the module of views has.
TAKEN = {"bp", "field", "operation"}
#: What the module of views, and that of schemas, may call and import.
CALLS = {"Blueprint", "Meta", "field", "operation", *METHODS}
MODULES = {"collections", "datetime", "decimal", "enum", "extensions", "flask", "msgspec", "schemas", "typing", "uuid"}
TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict[str, Any]",
}
BOUNDS = {
    "minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt", "multipleOf": "multiple_of",
    "minLength": "min_length", "maxLength": "max_length", "minItems": "min_length", "maxItems": "max_length",
    "pattern": "pattern", "description": "description", "examples": "examples",
}  # fmt: skip


def write(contract: Mapping[str, Any], file: Path, folder: Path) -> None:
    """Write the blueprint, formatted, or nothing at all; ``file`` is where the contract was read."""
    text = views(contract, folder.name)
    # Beside where it will be, so that the same rules apply to it.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, folder.name)
        made.mkdir()
        (made / "__init__.py").write_text(text)
        if contract.get("components", {}).get("schemas"):
            schemas = made / "schemas.py"
            _generate(contract, file, schemas)
            schemas.write_text(schemas_of(contract, schemas.read_text()))
            check_code(schemas.read_text())
            check_names(text, schemas.read_text())
        check_code(text)
        ruff = [sys.executable, "-m", "ruff", "check", "--quiet"]
        # What the contract calls like a function of Python is called so.
        _run(*ruff, "--select=A001,A002", "--add-noqa", str(made))
        # None stands at the end of a union.
        _run(*ruff, "--select=RUF036", "--fix", "--unsafe-fixes", str(made))
        _run(*ruff, "--fix", str(made))
        _run(sys.executable, "-m", "ruff", "format", "--quiet", str(made))
        made.rename(folder)


def _generate(contract: Mapping[str, Any], file: Path, schemas: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise click.ClickException("uv fetches the generator: pip install uv")
    # Only a schema that has a name becomes a class.
    literals = json.dumps(dict.fromkeys(_choices(contract), "literal"))
    command = [uv, "tool", "run", "--quiet", "--from", GENERATOR, "datamodel-codegen", *OPTIONS]
    _run(*command, "--enum-field-as-literal-map", literals, "--input", str(file), "--output", str(schemas))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (words of this module)
    if done.returncode:
        raise click.ClickException(done.stdout + done.stderr)


def check_code(text: str) -> None:
    """Raise for code that does more than declare: no text of a contract may become code, whoever wrote it."""
    for node in ast.walk(ast.parse(text)):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
        called = node.func if isinstance(node, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "" if called else "field")
        if name not in CALLS or not {module.partition(".")[0] for module in modules} <= MODULES:
            raise click.ClickException(f"The contract has names that are no names: line {getattr(node, 'lineno', 0)}.")


def check_names(views: str, schemas: str) -> None:
    """Raise for a schema that the generator calls otherwise, because its name is none of a class."""
    imported = re.search(r"^from .schemas import (.*)", views, re.MULTILINE)
    for name in imported[1].split(", ") if imported else ():
        if not re.search(rf"^(class )?{name}\b", schemas, re.MULTILINE):
            raise click.ClickException(f"The schema {name} needs a name as classes have, such as {name.title()}.")


def schemas_of(contract: Mapping[str, Any], generated: str) -> str:
    """The generated schemas, strict where they are sent by clients, and without those of the contract itself."""
    sent = {name for _, _, operation in operations(contract) for name in _names(contract, operation.get("requestBody"))}
    for name in sent:
        generated = generated.replace(f"class {name}(Struct", f"class {name}(Input")
    for name in OWN:
        generated = re.sub(
            rf"^class {name}\(.*?(?=^class |^\w+: TypeAlias|\Z)", "", generated, flags=re.MULTILINE | re.DOTALL
        )
    # A date-time of OpenAPI has a zone.
    generated = generated.replace("Annotated[datetime, Meta(", "Annotated[datetime, Meta(tz=True, ")
    generated, plain = re.subn(r"(?<=[:|] )datetime\b|(?<=\[)datetime\b(?=[\] ])", ZONED, generated)
    if plain:
        generated = generated.replace(
            "from datetime", "from msgspec import Meta\nfrom typing import Annotated\nfrom datetime", 1
        )
    generated = re.sub(r"\A(#.*\n)+", '"""What the operations take and answer."""\n', generated)
    generated = generated.replace(
        "from msgspec import", "from ...extensions.api.contract import Input\nfrom msgspec import", 1
    )
    return generated


def _choices(value: Any) -> Iterator[str]:
    """The properties of which a list of values is given in place."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _choices(part)
    if isinstance(value, dict) and isinstance(value.get("properties"), dict):
        yield from (name for name, schema in value["properties"].items() if '"enum"' in json.dumps(schema))


def _names(contract: Mapping[str, Any], value: Any) -> Iterator[str]:
    """The schemas that are reached from here."""
    found, left = set(), [value]
    while left:
        match left.pop():
            case {"$ref": str(reference)}:
                if reference not in found:
                    found.add(reference)
                    left.append(resolve(contract, {"$ref": reference}))
            case dict() as mapping:
                left += mapping.values()
            case list() as several:
                left += several
    return (reference.rpartition("/")[2] for reference in found)


def operations(contract: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, linked in contract["paths"].items():
        item = resolve(contract, linked)
        for method in METHODS:
            if method in item:
                shared = {"parameters": [*item.get("parameters", ()), *item[method].get("parameters", ())]}
                yield path, method, {**item[method], **shared}


def views(contract: Mapping[str, Any], name: str) -> str:
    """The module of views."""
    prefixes = {match[0] for path in contract["paths"] if (match := re.match(r"/api/v[^/]+(?=/)|", path))}
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    parts: dict[str, str] = {}
    for path, method, operation in operations(contract):
        called, view = _view(contract, prefix, path, method, operation)
        if called in parts:
            raise click.ClickException(f"Two operations would be called {called}: give one another operationId.")
        parts[called] = view
    body = "\n\n".join(parts.values())
    schemas = contract.get("components", {}).get("schemas", ())

    def imported(module: str, *names: str) -> str:
        used = [name for name in names if re.search(rf"\b{name}\b", body)]
        return f"from {module} import {', '.join(used)}\n" if used else ""

    about = docstring(f"{contract.get('info', {}).get('title', name)}: views of its contract, to be filled in.")
    if odd := next((schema for schema in schemas if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", schema)), None):
        raise click.ClickException(f"The schema {odd[:200]!r} needs a name as classes have, such as Note.")
    return f'''{about}

{imported("datetime", "datetime")}{imported("typing", "Annotated", "Any", "Literal")}
from flask import Blueprint
{imported("msgspec", "UNSET", "Meta", "UnsetType", "field")}
from ...extensions.api.contract import {"Input, " if "(Input)" in body else ""}operation
{imported(".schemas", *sorted(schemas))}
bp = Blueprint("{name}", __name__{f", url_prefix={json.dumps(prefix)}" if prefix else ""})


{body}
'''


def _view(
    contract: Mapping[str, Any], prefix: str, path: str, method: str, operation: Mapping[str, Any]
) -> tuple[str, str]:
    """The name of a view, and its text."""
    given = operation.get("operationId", f"{method} {path}")
    name = identifier(given)
    parameters = [resolve(contract, parameter) for parameter in operation["parameters"]]
    arguments, query, rule = [], [], path.removeprefix(prefix)
    for parameter in parameters:
        schema = {"description": parameter.get("description", ""), **parameter.get("schema", {})}
        kind = python_type(schema)
        match parameter["in"]:
            case "path":
                if not parameter["name"].isidentifier() or keyword.iskeyword(parameter["name"]):
                    raise click.ClickException(f"{path}: {parameter['name']} cannot be the name of an argument.")
                arguments.append(f"{parameter['name']}: {kind}")
                converter = "int:" if schema.get("type") == "integer" else ""
                rule = rule.replace("{" + parameter["name"] + "}", f"<{converter}{parameter['name']}>")
            case "query":
                query.append(_field(parameter["name"], kind, schema, required=parameter.get("required", False)))
    media = resolve(contract, operation.get("requestBody")).get("content", {})
    classes = ""
    if query:
        kind = "".join(word.title() for word in name.split("_")) + "Query"
        classes = f"class {kind}(Input):\n" + "".join(f"    {line}\n" for line in query) + "\n\n"
        arguments.append(f"query: {kind}")
    if media:
        body = next((media[kind] for kind in media if kind.endswith("json")), None)
        if body is None:
            raise click.ClickException(f"{method.upper()} {path}: its body is not JSON.")
        arguments.append(f"json: {python_type(body['schema'])}")
    responses = {status: resolve(contract, response) for status, response in operation.get("responses", {}).items()}
    status = min((int(status) for status in responses if status.startswith("2") and status.isdigit()), default=200)
    success = responses.get(str(status), {})
    content = success.get("content", {}).get("application/json")
    answer = python_type(content["schema"]) if content else "None"
    headers = {header: text.get("description", "") for header, text in success.get("headers", {}).items()}
    conditions = {parameter["name"].lower() for parameter in parameters if parameter["in"] == "header"}
    settings = [str(status)] if status != 200 else []
    if given != name:
        settings.append(f"operation_id={given!r}")
    implied = IMPLIED | {404} if "<" in rule else IMPLIED
    if errors := sorted({int(code) for code in responses if code.isdigit() and code >= "400"} - implied):
        settings.append(f"errors={errors}")
    if "ETag" in headers or conditions & {"if-match", "if-none-match"}:
        headers.pop("ETag", None)
        settings.append("etag=True")
    if headers:
        settings.append(f"headers={headers}")
    text = "\n\n".join(filter(None, (operation.get("summary", given), operation.get("description"))))
    text = re.sub('"$', r'\\"', text.replace("\\", r"\\").replace('"""', r"\"\"\"")) + ("\n" if "\n" in text else "")
    text = re.sub(r"[ \t]*\n(?=.)", "\n    ", text).replace("\n    \n", "\n\n") + ("    " if "\n" in text else "")
    view = f'''{classes}@bp.{method}({json.dumps(rule)})
@operation({", ".join(settings)})
def {name}({", ".join(arguments)}) -> {answer}:
    """{text}"""
    raise NotImplementedError
'''
    return name, view


def _field(name: str, kind: str, schema: Mapping[str, Any], *, required: bool) -> str:
    attribute = identifier(name)
    default = schema.get("default")
    if "default" not in schema:
        kind, settings = (kind, []) if required else (f"{kind} | UnsetType", ["default=UNSET"])
    elif isinstance(default, list):
        settings = [f"default_factory=lambda: {default!r}" if default else "default_factory=list"]
    else:
        settings = [f"default={default!r}"]
    if attribute != name:
        settings = [f"name={name!r}", *settings]
    if len(settings) == 1 and settings[0].startswith("default="):
        return f"{attribute}: {kind} = {settings[0].removeprefix('default=')}"
    return f"{attribute}: {kind} = field({', '.join(settings)})" if settings else f"{attribute}: {kind}"


def python_type(schema: Mapping[str, Any] | bool) -> str:
    """A schema as an annotation."""
    if isinstance(schema, bool):
        return "Any"
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise click.ClickException(f"The schema {name[:200]!r} needs a name as classes have, such as Note.")
        return name
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        kind = " | ".join(dict.fromkeys(python_type(alternative) for alternative in alternatives))
    elif len(schema.get("allOf", ())) == 1:
        kind = python_type(schema["allOf"][0])
    elif "enum" in schema:
        # A literal is a text, a whole number or null.
        literal = all(value is None or isinstance(value, str) or type(value) is int for value in schema["enum"])
        kind = f"Literal[{', '.join(map(repr, schema['enum']))}]" if literal else "Any"
    elif (schema.get("type"), schema.get("format")) == ("string", "date-time"):
        kind = "datetime"
    elif isinstance(schema.get("type"), list):
        # Bounds are of the one that has some.
        kinds = [name for name in schema["type"] if name != "null"]
        parts = [python_type({**schema, "type": name}) for name in kinds]
        return " | ".join([*parts, "None"] if len(kinds) < len(schema["type"]) else parts)
    elif schema.get("type") == "array":
        kind = f"list[{python_type(schema.get('items', {}))}]"
    else:
        kind = TYPES.get(schema.get("type", ""), "Any")
    zone = ["tz=True"] if kind == "datetime" else []
    bounds = zone + [f"{BOUNDS[word]}={value!r}" for word, value in schema.items() if word in BOUNDS and value != ""]
    return f"Annotated[{kind}, Meta({', '.join(bounds)})]" if bounds else kind


def literal(text: object, most: int = 200) -> str:
    """A text of the contract as a literal of one line."""
    return repr(" ".join(str(text or "").split())[:most])


def docstring(text: object) -> str:
    """A text of the contract as a docstring of one line."""
    return '"""' + literal(text)[1:-1].replace('"', r"\"") + '"""'


def identifier(text: str) -> str:
    """A name as Python writes it, of ASCII alone: ``listNotes`` and ``list-notes`` are ``list_notes``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", text).strip("_").lower()
    words = f"_{words}" if words[:1].isdigit() else words
    return f"{words}_" if keyword.iskeyword(words) or words in TAKEN else words or "_"


def resolve(document: Any, value: Any) -> Any:
    """What a reference refers to."""
    followed = set()
    while isinstance(value, Mapping) and "$ref" in value:
        reference = str(value["$ref"])
        if not reference.startswith("#/"):
            raise click.ClickException(f"{reference[:200]!r} is in another document: put all into one.")
        if reference in followed:
            raise click.ClickException(f"{reference[:200]!r} refers to itself.")
        followed.add(reference)
        value = document
        for part in unquote(reference[2:]).split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            value = value[int(name) if isinstance(value, list) else name]
    return value or {}


@click.command
@click.argument("file", type=click.File(encoding="utf-8"))
@click.argument("folder", required=False)
def main(file: TextIO, folder: str | None) -> None:
    """Write typed views and schemas of the contract in FILE as a blueprint to FOLDER.

    FOLDER is a new one in ``blueprints/``, called after FILE, unless it is given.
    """
    name = identifier(Path(file.name).name.partition(".")[0])
    (blueprints,) = Path().glob("src/*/blueprints")
    path = Path(folder) if folder else blueprints / name
    if path.exists():
        raise click.ClickException(f"{path} exists: name another folder, with FOLDER=...")
    try:
        contract = json.load(file)
        write(contract, Path(file.name), path)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise click.ClickException(f"{file.name} is not valid OpenAPI in JSON: {error!r}") from None
    click.echo(f'Wrote {path}. Next: "blueprints.{path.name}" into OWN in modules.py')


if __name__ == "__main__":
    main()
