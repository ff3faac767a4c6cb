"""The OpenAPI document of one version of the API: what its operations take and answer, errors included.

https://spec.openapis.org/oas/v3.1.1
"""

import json
import re
from inspect import cleandoc, unwrap
from typing import Any

import msgspec
from flask import Flask
from msgspec import Struct
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule

from .contract import CONDITIONAL, JSON, MERGE_PATCH, ContractError, Operation, last_line
from .validation import REF, is_text

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PROBLEM = "application/problem+json"
TEXT = {"type": "string"}


class Detail(Struct, omit_defaults=True):
    """What is wrong, and where: a JSON pointer into the body, or the name of a parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(Struct, omit_defaults=True):
    """An error: https://www.rfc-editor.org/rfc/rfc9457"""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[Detail] = []


def check(app: Flask) -> None:
    """Raise for an operation that nobody could find or call.

    :raises ContractError: because it is below no prefix, has other arguments than its path or a type that no contract
        can have, or asks for a security scheme that nothing provides.
    """
    for _, rule, operation in operations(app):
        if not any(rule.rule.startswith(f"{prefix}/") for prefix in app.config["API_VERSIONS"]):
            raise ContractError(f"{rule.rule} is below none of {', '.join(app.config['API_VERSIONS'])}.")
        # The rule does not say which arguments a preprocessor takes away or adds.
        if (wrong := rule.arguments ^ operation.arguments.keys()) and not app.url_value_preprocessors:
            names = ", ".join(sorted(wrong))
            raise ContractError(f"{rule.rule} and {operation.id} do not have the same arguments: {names}.")
        try:
            for kind in (operation.body, operation.answer):
                msgspec.json.schema_components([] if kind is None else [kind])
            for name, kind in operation.arguments.items():
                (schema,), parts = msgspec.json.schema_components([kind], ref_template=REF)
                if not is_text(schema, parts, several=False):
                    raise TypeError(f"{name} is an object or a list, which no part of a path is")
        except TypeError as error:
            raise ContractError(f"{operation.id} has a type that no contract can have: {last_line(error)}.") from error
        if missing := set(operation.security) - app.extensions["api_security"].keys():
            raise ContractError(f"{rule.rule} asks for {missing.pop()}, a security scheme that no extension provides.")


def operations(app: Flask, prefix: str = "") -> list[tuple[str, Rule, Operation]]:
    """The operations below a prefix, with their methods, in an order that does not depend on how they were registered."""
    found = []
    for rule in app.url_map.iter_rules():
        # Decorators may stand above and below @operation.
        view = unwrap(app.view_functions[rule.endpoint], stop=lambda found: isinstance(found, Operation))
        if isinstance(view, Operation) and rule.rule.startswith(f"{prefix}/"):
            found += [(method, rule, view) for method in METHODS if method in (rule.methods or ())]
    return sorted(found, key=lambda each: (each[1].rule, METHODS.index(each[0])))


def make(app: Flask, prefix: str) -> str:
    """Make the document of the operations below a prefix, as JSON.

    :raises ContractError: for views or types that share a name.
    """
    check(app)
    found = operations(app, prefix)
    types = [kind for *_, each in found for kind in (each.body, each.answer, *each.arguments.values())]
    kinds = list(dict.fromkeys([Problem, *(kind for kind in types if kind is not None)]))
    references, components = msgspec.json.schema_components(kinds, ref_template=REF)
    for texts in [texts for *_, each in found for texts in each.texts.values()]:
        components |= texts.parts
    # ``Items[Note]`` is called ItemsNote, as programs that generate clients would call it.
    names = {name: re.sub(r"\W", "", component.get("title", name)) for name, component in components.items()}
    for name, title in names.items():
        if name.replace("_", "") != title.replace("_", ""):
            raise ContractError(f"Several types are called {title}: {name} is one of them.")
    schemas = dict(zip(kinds, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    seen: dict[str, str] = {}
    for method, rule, each in found:
        path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
        if each.id in seen:
            raise ContractError(f"{seen[each.id]} and {method} {path} are both called {each.id}.")
        seen[each.id] = f"{method} {path}"
        described = _describe(rule, each, method, each.statuses(method, app), schemas)
        paths.setdefault(path, {})[method.lower()] = {name: part for name, part in described.items() if part}
    parts = {"schemas": {names[name]: components[name] for name in sorted(components)}}
    if asked := sorted({name for *_, each in found for name in each.security}):
        parts["securitySchemes"] = {name: app.extensions["api_security"][name][0] for name in asked}
    document = dict(app.config["API_DOCUMENT"])
    info = {"title": app.name, "version": app.config["API_VERSIONS"][prefix], **document.pop("info", {})}
    document = {"openapi": "3.1.1", "info": info, **document, "paths": paths, "components": parts}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return re.sub(r"(?<=#/components/schemas/)\w+", lambda name: names.get(name[0], name[0]), text)


def _describe(rule: Rule, operation: Operation, method: str, errors: set[int], schemas: dict[Any, Any]) -> Any:
    """One operation of the document; empty parts are left out."""
    summary, _, description = cleandoc(operation.__doc__ or operation.id).partition("\n\n")
    parameters = list(operation.parameters)
    parameters += [_parameter(name, "path", schemas[kind], required=True) for name, kind in operation.arguments.items()]
    for place, texts in operation.texts.items():
        for name, schema in texts.schema["properties"].items() if place != "form" else ():
            parameters.append(_parameter(name, place.rstrip("s"), schema, required=name in texts.schema["required"]))
    problem = {PROBLEM: {"schema": schemas[Problem]}}
    responses: dict[int, Any] = {code: {"description": HTTP_STATUS_CODES[code], "content": problem} for code in errors}
    headers = {name: _header(text) for name, text in operation.headers.items()}
    if operation.etag:
        version = {"ETag": _header("The version of what is answered.")}
        headers |= version if operation.answer is not None else {}
        if method == "GET":
            parameters.append(_parameter("If-None-Match", "header", TEXT, "An ETag that you have."))
            responses[304] = {"description": "You have the current version.", "headers": version}
        elif method in CONDITIONAL:
            parameters.append(_parameter("If-Match", "header", TEXT, "The ETag of what you have read.", required=True))
    if operation.security:
        responses[401]["headers"] = {"WWW-Authenticate": _header("How to say who you are.")}
    success = responses[operation.status] = {"description": HTTP_STATUS_CODES[operation.status]}
    if headers:
        success["headers"] = headers
    if operation.answer is not None or operation.media_type != JSON:
        success["content"] = {operation.media_type: {"schema": schemas.get(operation.answer, TEXT)}}
    body: dict[str, Any] = {}
    if operation.takes:
        schema = schemas[operation.body] if operation.body else operation.texts["form"].schema
        body = {"required": True, "content": {operation.takes: {"schema": schema}}}
    # Not as a second media type: some generators of clients fail on two media types with one schema.
    if operation.body and method == "PATCH":
        body["description"] = f"A merge patch (RFC 7396); {MERGE_PATCH} is taken as well."
    elif operation.further:
        body["description"] = f"{', '.join(operation.further)} is taken as well."
    return {
        "operationId": operation.id,
        "summary": " ".join(summary.split()),
        "description": description,
        "tags": [rule.endpoint.rpartition(".")[0].rpartition(".")[2]],
        "security": [{name: sorted(operation.scopes)} for name in operation.security],
        "parameters": parameters,
        "requestBody": body,
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": TEXT}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str = "", required: bool = False) -> Any:
    schema = {"description": description, **schema}
    return {"name": name, "in": place, "required": required, "description": schema.pop("description"), "schema": schema}
