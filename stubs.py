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
from collections.abc import Container, Iterator, Mapping
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
    "--set-default-enum-member",
]
METHODS = ("get", "post", "put", "patch", "delete")
#: What ``contract.py`` answers by itself.
OWN = {"Problem", "Detail"}
IMPLIED = {400, 412, 413, 415, 422, 428, 500}
ZONED = "Annotated[datetime, Meta(tz=True)]"
#: Names that the module of views has.
TAKEN = {"bp", "field", "operation", "list", "dict", "str", "int", "float", "bool", "datetime"}
#: What classes may not be called: what modules that are made of a contract import.
CLASSES = {
    *("Any", "Env", "File", "Flask", "Iterator", "Tagged", "TYPE_CHECKING", "UNSET", "UnsetType", "Literal", "Decimal"),
    *("UUID", "Struct", "Choice", "Number", "None", "True", "False", "Annotated", "Blueprint", "FileStorage", "Input"),
    *("Meta", "Enum", "Union", "Optional", "TypeAlias"),
}
#: What the module of views, and that of schemas, may call and import.
CALLS = {"Blueprint", "Meta", "field", "operation", *METHODS}
MODULES = {"collections", "datetime", "decimal", "enum", "extensions", "flask", "msgspec", "schemas", "typing", "uuid"}
MODULES |= {"werkzeug"}
ROOT = "#/components/schemas/"
#: Words of OpenAPI whose values are data.
DATA = ("const", "default", "enum", "example", "examples")
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
#: The arguments of a view for parameters that are no part of the path.
PLACES = {"query": "query", "header": "headers", "cookie": "cookies", "form": "form"}
#: Headers that are answered for, or are no parameters.
HEADERS = {"accept", "authorization", "content-type", "if-match", "if-none-match", "idempotency-key", "x-request-id"}
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


def write(contract: Mapping[str, Any], folder: Path) -> list[str]:
    """Write the blueprint, formatted, or nothing at all; what is not carried over is returned."""
    # Beside where it will be, so that the same rules apply to it.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, folder.name)
        made.mkdir()
        for tagged in (True, False):
            left = list[str]()
            told = named(contract, left, tagged)
            if not contract.get("components", {}).get("schemas"):
                break
            (file := Path(temporary, "contract.json")).write_text(json.dumps(told))
            _generate(told, file, made / "schemas.py")
            schemas = schemas_of(told, (made / "schemas.py").read_text())
            (made / "schemas.py").write_text(schemas)
            check_code(schemas)
            told = inlined(told, undefined(told, schemas))
            if not untold(schemas):
                break
        text = views(told, folder.name, left)
        (made / "__init__.py").write_text(text)
        check_code(text)
        ruff = [sys.executable, "-m", "ruff", "check", "--quiet"]
        # None stands at the end of a union.
        _run(*ruff, "--select=RUF036", "--fix", "--unsafe-fixes", str(made))
        _run(*ruff, "--fix", "--exit-zero", str(made))
        tidy(made)
        made.rename(folder)
    return left


def tidy(folder: Path) -> None:
    """Format what was made; what the rules of the service still say of it is accepted, such as a name of Python's."""
    ruff = [sys.executable, "-m", "ruff"]
    _run(*ruff, "format", "--no-cache", "--quiet", str(folder))
    for _ in range(2):  # A comment may break the line of several arguments, and then stands at another one of them.
        _run(*ruff, "check", "--no-cache", "--quiet", "--fix", "--select=RUF100", str(folder))
        _run(*ruff, "check", "--no-cache", "--quiet", "--add-noqa", str(folder))
        _run(*ruff, "format", "--no-cache", "--quiet", str(folder))
    _run(*ruff, "check", "--no-cache", "--quiet", str(folder))


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


def undefined(contract: Mapping[str, Any], schemas: str) -> set[str]:
    """The schemas of which the generator has made no class: those that only give a name to a plain type."""
    names = contract["components"]["schemas"]
    return {name for name in names if not re.search(rf"^(class )?{name}\b", schemas, re.MULTILINE)}


def untold(schemas: str) -> bool:
    """Whether a union has classes that msgspec cannot tell apart, because the generator has given them no tags."""
    tree = ast.parse(schemas)
    classes = {
        node.name: any(keyword.arg == "tag" for keyword in node.keywords)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    unions = [ast.unparse(node).split(" | ") for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    several = [[classes[name] for name in dict.fromkeys(union) if name in classes] for union in unions]
    return any(len(tags) > 1 and not all(tags) for tags in several)


def inlined(contract: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """The contract, with what these schemas say in the place of references to them; what holds itself is anything."""
    components = contract["components"]

    def within(value: Any, left: set[str]) -> Any:
        match value:
            case {"$ref": str(reference)} if reference.removeprefix(ROOT) in names:
                name = reference.removeprefix(ROOT)
                return within(components["schemas"][name], left - {name}) if name in left else {}
            case dict():
                return {key: within(part, left) for key, part in value.items()}
            case list():
                return [within(part, left) for part in value]
        return value

    schemas = {name: schema for name, schema in components["schemas"].items() if name not in names}
    parts = {"paths": contract["paths"], "components": {**components, "schemas": {}}}
    found: dict[str, Any] = {**contract, **within(parts, names)}
    found["components"]["schemas"] = schemas
    return found


def schemas_of(contract: Mapping[str, Any], generated: str) -> str:
    """The generated schemas, strict where they are sent by clients, and without those of the contract itself."""
    sent = {name for _, _, operation in operations(contract) for name in _names(contract, operation.get("requestBody"))}
    for name in sent:
        generated = generated.replace(f"class {name}(Struct", f"class {name}(Input")
    for name in OWN:
        generated = re.sub(
            rf"^class {name}\(.*?(?=^class |^\w+: TypeAlias|\Z)", "", generated, flags=re.MULTILINE | re.DOTALL
        )
    for name in set(re.findall(r'"propertyName": "([A-Za-z0-9_-]+)"', json.dumps(contract))):
        # The generator writes it as an attribute.
        generated = generated.replace(f'tag_field="{identifier(name)}"', f'tag_field="{name}"')
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
        item = {} if path.startswith("x-") else resolve(contract, linked)
        for method in METHODS:
            if method in item:
                shared = {"parameters": [*item.get("parameters", ()), *item[method].get("parameters", ())]}
                yield path, method, {**item[method], **shared}


def _compiles(pattern: str) -> bool:
    try:
        return bool(re.compile(pattern))
    except re.error:
        return False


def _alike(contract: Mapping[str, Any], schema: Mapping[str, Any], alternatives: list[Any], tagged: bool) -> bool:
    """Whether msgspec cannot tell alternatives apart: several are objects, or lists, or lists of texts."""
    kinds = []
    for alternative in alternatives:
        told = alternative if isinstance(alternative, bool) else resolve(contract, alternative)
        if isinstance(told, bool):
            continue
        kind = told.get("type") or ("object" if told.keys() & {"properties", "allOf"} else None)
        kinds.append(kind if kind in ("object", "array") else "enum" if "enum" in told else None)
    return not (tagged and "discriminator" in schema) and any(kind and kinds.count(kind) > 1 for kind in kinds)


def named(contract: Mapping[str, Any], left: list[str], tagged: bool = True) -> dict[str, Any]:
    """The contract, where schemas are called as classes are, and what cannot be decoded may be anything.

    :param tagged: whether a discriminator tells alternatives apart.
    """
    schemas = contract.get("components", {}).get("schemas", {})
    names: dict[str, str] = {}
    for name in sorted(schemas, key=lambda name: (name != pascal(name), name)):
        names[name] = unique(pascal(name), names.values())

    def renamed(value: Any) -> Any:
        match value:
            case list():
                return [renamed(part) for part in value]
            case {"oneOf": list(several)} | {"anyOf": list(several)} if _alike(contract, value, several, tagged):
                left.append("alternatives that no member tells apart, which are Any")
                return {"description": str(value.get("description") or "")}
            case {"pattern": str(pattern), **rest} if not _compiles(pattern):
                left.append(f"the pattern {pattern}, which is none of Python")
                return renamed(rest)
            case dict():
                return {key: renamed(part) for key, part in value.items()}
            case str() if value.startswith(ROOT):
                name = unquote(value.removeprefix(ROOT)).replace("~1", "/").replace("~0", "~")
                return ROOT + names.get(name, name)
        return value

    found: dict[str, Any] = renamed(dict(contract))
    if schemas:
        made = found["components"]["schemas"]
        found["components"]["schemas"] = {names[name]: schema for name, schema in made.items()}
    return found


def views(contract: Mapping[str, Any], name: str, left: list[str] | None = None) -> str:
    """The module of views; what is not carried over comes into ``left``."""
    left = [] if left is None else left
    prefixes = {match[0] for path in contract["paths"] if (match := re.match(r"/api/v[^/]+(?=/)|", path))}
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    parts: dict[str, str] = {}
    for path, method, operation in operations(contract):
        called, view = _view(contract, prefix, path, method, operation, left)
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
{imported("msgspec", "UNSET", "Meta", "UnsetType", "field")}{imported("werkzeug.datastructures", "FileStorage")}
from ...extensions.api.contract import {"Input, " if "(Input)" in body else ""}operation
{imported(".schemas", *sorted(schemas))}
bp = Blueprint("{name}", __name__{f", url_prefix={json.dumps(prefix)}" if prefix else ""})


{body}
'''


def _view(
    contract: Mapping[str, Any], prefix: str, path: str, method: str, operation: Mapping[str, Any], left: list[str]
) -> tuple[str, str]:
    """The name of a view, and its text."""
    given, at = operation.get("operationId", f"{method} {path}"), f"{method.upper()} {path}"
    name = identifier(given)
    given_parameters = (resolve(contract, parameter) for parameter in operation["parameters"])
    # One of the operation replaces that of the path.
    parameters = [*{(parameter["in"], parameter["name"]): parameter for parameter in given_parameters}.values()]
    arguments: dict[str, str] = {}
    fields: dict[str, list[str]] = {place: [] for place in PLACES}
    declared = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "path"}
    rule = ""
    for part in re.split(r"(\{[^{}]*\})", path.removeprefix(prefix)):
        if part[:1] != "{":
            rule += part
            continue
        schema = _described(declared.get(part[1:-1], {"schema": {"type": "string"}}))
        argument = identifier(part[1:-1])
        argument = unique(f"{argument}_" if argument in {"json", *PLACES.values()} else argument, arguments)
        arguments[argument] = python_type(schema)
        rule += f"<{'int:' if schema.get('type') == 'integer' else ''}{argument}>"
    for parameter in parameters:
        place, schema = parameter["in"], _described(parameter)
        if place in ("query", "cookie") or (place == "header" and parameter["name"].lower() not in HEADERS):
            required = parameter.get("required", False)
            _field(fields[place], parameter["name"], python_type(schema), schema, required=required)
    media = resolve(contract, operation.get("requestBody")).get("content", {})
    body = next((media[kind] for kind in media if is_json(media_type(kind))), None)
    form = next((media[kind] for kind in media if media_type(kind) in FORMS), None)
    if body is None and form is not None:
        schema = resolve(contract, form.get("schema"))
        for member, inner in schema.get("properties", {}).items():
            required = member in schema.get("required", ())
            told = inner if isinstance(inner, Mapping) else {}
            _field(fields["form"], member, python_type(inner, files=True), told, required=required)
    elif body is None and media:
        left.append(f"{at}: its body as {', '.join(media)}, which request.get_data() reads")
    classes = ""
    for place, lines in fields.items():
        if lines:
            kind = f"{pascal(name)}{PLACES[place].title()}"
            # What has a default comes after what has none.
            lines.sort(key=lambda line: " = " in line and not re.search(r" = field\(name='[^']*'\)$", line))
            classes += f"class {kind}(Input):\n" + "".join(f"    {line}\n" for line in lines) + "\n\n"
            arguments[PLACES[place]] = kind
    if body is not None:
        arguments["json"] = python_type(body.get("schema", {}))
    responses = {status: resolve(contract, response) for status, response in operation.get("responses", {}).items()}
    status = min((int(status) for status in responses if status.startswith("2") and status.isdigit()), default=200)
    success = responses.get(str(status), {})
    media = success.get("content", {})
    content = next((media[kind] for kind in media if is_json(media_type(kind)) or media_type(kind) == "*/*"), None)
    answer = "None" if content is None else python_type(content.get("schema", {}))
    if media and content is None:
        left.append(f"{at}: its answer as {', '.join(media)}")
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
def {name}({", ".join(f"{argument}: {kind}" for argument, kind in arguments.items())}) -> {answer}:
    """{text}"""
    raise NotImplementedError
'''
    return name, view


def _described(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, with its description."""
    schema = parameter.get("schema", {})
    return {"description": parameter.get("description", ""), **(schema if isinstance(schema, Mapping) else {})}


def _field(lines: list[str], name: str, kind: str, schema: Mapping[str, Any], *, required: bool) -> None:
    """Add a field to those of a class."""
    attribute = unique(identifier(name), [line.partition(":")[0] for line in lines])
    default = schema.get("default")
    fitting = {**TYPES, "number": "float int", "array": "list"}.get(str(schema.get("type")), type(default).__name__)
    if "default" not in schema or type(default).__name__ not in fitting.split():
        kind, settings = (kind, []) if required else (f"{kind} | UnsetType", ["default=UNSET"])
    elif isinstance(default, list):
        settings = [f"default_factory=lambda: {default!r}" if default else "default_factory=list"]
    else:
        settings = [f"default={default!r}"]
    if attribute != name:
        settings = [f"name={name!r}", *settings]
    if len(settings) == 1 and settings[0].startswith("default="):
        lines.append(f"{attribute}: {kind} = {settings[0].removeprefix('default=')}")
    else:
        lines.append(f"{attribute}: {kind} = field({', '.join(settings)})" if settings else f"{attribute}: {kind}")


def python_type(schema: Mapping[str, Any] | bool, files: bool = False) -> str:
    """A schema as an annotation; in a form, bytes are files."""
    if isinstance(schema, bool):
        return "Any"
    if files and schema.get("type") == "string" and (schema.get("format") == "binary" or "contentMediaType" in schema):
        return "FileStorage"
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
        kind = f"list[{python_type(schema.get('items', {}), files)}]"
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


def pascal(text: str) -> str:
    """A name as classes have it: ``note-out`` and ``NoteOut`` are ``NoteOut``."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[:1].upper() + word[1:] for word in words)[:80]
    name = name if name[:1].isalpha() else f"Type{name}"
    return f"{name}Schema" if name in CLASSES else name


def unique(name: str, taken: Container[str]) -> str:
    number = 2
    while (found := name if number == 2 else f"{name}{number - 1}") in taken:
        number += 1
    return found


def media_type(kind: str) -> str:
    """Without its parameters, such as a charset."""
    return kind.partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    return bool(re.fullmatch(r"(application|text)/([\w.*+-]+\+)?json", kind))


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


def check_references(document: Any, value: Any, named: bool = False) -> None:
    """Refuse references that lead nowhere, to themselves or out of the document: their names would be undefined.

    :param named: whether the words of this mapping are names, and not OpenAPI's.
    """
    if isinstance(value, Mapping):
        if not named and isinstance(value.get("$ref"), str):
            resolve(document, value)
        for word, part in value.items():
            if named or not (word in DATA or word.startswith("x-")):
                check_references(document, part, not named and word in ("properties", "patternProperties", "schemas"))
    for part in value if isinstance(value, list) else ():
        check_references(document, part)


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
        if not re.match(r"3\.[01](\.|$)", version := str(contract.get("openapi", ""))):
            raise click.ClickException(f"{file.name} is not OpenAPI 3.0 or 3.1: {version[:20]!r}.")
        check_references(contract, contract)
        left = write(contract, path)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise click.ClickException(f"{file.name} is not valid OpenAPI in JSON: {error!r}") from None
    for line in dict.fromkeys(left):
        click.echo(f"Not carried over: {literal(line, 300)[1:-1]}")
    click.echo(f'Wrote {path}. Next: "blueprints.{path.name}" into OWN in modules.py')


if __name__ == "__main__":
    main()
