"""The OpenAPI document of an application: what its operations take and answer, errors included.

https://spec.openapis.org/oas/v3.1.1
"""

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any

import msgspec
from flask import Flask
from msgspec import Struct
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule

from .contract import JSON, MERGE_PATCH, PREFIX, ContractError, Operation

#: Of the contract, not of the service: raise it when clients get something new.
VERSION = "1.0.0"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PROBLEM = "application/problem+json"
REFERENCE = "#/components/schemas/{name}"
#: What any request may be answered: a wrong host, an unknown parameter, a bug.
ALWAYS = {400, 422, 500}


class Detail(Struct, omit_defaults=True):
    """What is wrong, and where: in the body by a JSON pointer, or in the query."""

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


def operations(app: Flask) -> Iterator[tuple[Rule, Operation]]:
    """The routes of the contract, in an order that does not depend on how they were registered.

    :raises ContractError: for a route below the prefix that is no operation.
    """
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, [*map(METHODS.index, _methods(rule))])):
        view = app.view_functions[rule.endpoint]
        if isinstance(view, Operation):
            yield rule, view
        elif rule.rule.startswith(f"{PREFIX}/") and not rule.endpoint.startswith("api.documentation"):
            raise ContractError(f"{rule.rule} is not documented: decorate its view with @operation().")


def _methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) & set(METHODS), key=METHODS.index)


def make(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of an application, made anew.

    :raises ContractError: for views or types that share a name.
    """
    found = list(operations(app))
    types = [Problem] + [
        kind
        for _, operation in found
        for kind in (operation.query, operation.body, operation.answer, *operation.arguments.values())
        if kind is not None
    ]
    kinds = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    for name, component in components.items():
        if name != re.sub(r"\W", "_", component.get("title", name)):
            raise ContractError(f"Several types are called {component['title']}: {name} is one of them.")
    schema = dict(zip(kinds, schemas, strict=True))
    parameters = {
        operation.query: components[schema[operation.query]["$ref"].rpartition("/")[2]]
        for _, operation in found
        if operation.query
    }
    paths: dict[str, dict[str, Any]] = {}
    seen: dict[str, str] = {}
    for rule, operation in found:
        path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
        for method in _methods(rule):
            if seen.setdefault(operation.id, f"{method} {path}") != f"{method} {path}":
                raise ContractError(f"{seen[operation.id]} and {method} {path} are both called {operation.id}.")
            paths.setdefault(path, {})[method.lower()] = _describe(rule, operation, method, schema, parameters)
    for kind in parameters:
        components.pop(kind.__name__)
    return {
        "openapi": "3.1.1",
        "info": {"title": app.name, "version": VERSION},
        "paths": paths,
        "components": {"schemas": {name: components[name] for name in sorted(components)}},
    }


def _describe(
    rule: Rule, operation: Operation, method: str, schema: Mapping[Any, Any], queries: Mapping[Any, Any]
) -> dict[str, Any]:
    """One operation of the document."""
    summary, _, description = cleandoc(operation.__doc__ or operation.id).partition("\n\n")
    parameters = [_parameter(name, "path", schema[kind], required=True) for name, kind in operation.arguments.items()]
    if operation.query:
        query = queries[operation.query]
        parameters += [
            _parameter(name, "query", content, required=name in query.get("required", ()))
            for name, content in query["properties"].items()
        ]
    errors = ALWAYS | operation.errors
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in operation.headers.items()}
    success: dict[str, Any] = {"description": HTTP_STATUS_CODES[operation.status]}
    responses: dict[int, dict[str, Any]] = {operation.status: success}
    if operation.arguments:
        errors.add(404)
    if operation.etag:
        version = {"description": "The version of what is answered.", "schema": {"type": "string"}}
        if operation.answer is not None:
            headers["ETag"] = version
        if method == "GET":
            parameters.append(_parameter("If-None-Match", "header", {"type": "string"}, "An ETag that you have."))
            responses[304] = {"description": "You have the current version.", "headers": {"ETag": version}}
        elif method != "POST":
            seen = {"type": "string", "description": "The ETag of what you have read."}
            parameters.append(_parameter("If-Match", "header", seen, required=True))
            errors |= {412, 428}
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": " ".join(summary.split()),
        "description": description,
        "tags": [rule.endpoint.rpartition(".")[0].rpartition(".")[2]],
        "parameters": parameters,
    }
    if operation.body:
        errors |= {413, 415}
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schema[operation.body]}}}
        if method == "PATCH":
            # Not as a second media type: generators of clients stumble over two with one schema.
            described["requestBody"]["description"] = f"A merge patch (RFC 7396); {MERGE_PATCH} is taken as well."
    if operation.answer is not None:
        success["content"] = {JSON: {"schema": schema[operation.answer]}}
    if headers:
        success["headers"] = headers
    for status in errors:
        problem = {PROBLEM: {"schema": schema[Problem]}}
        responses[status] = {"description": HTTP_STATUS_CODES[status], "content": problem}
    described["responses"] = {str(status): responses[status] for status in sorted(responses)}
    return {name: part for name, part in described.items() if part}


def _parameter(name: str, place: str, schema: Mapping[str, Any], description: str = "", required: bool = False) -> Any:
    schema = dict(schema)
    description = schema.pop("description", description)
    return {"name": name, "in": place, "required": required, "description": description, "schema": schema}
