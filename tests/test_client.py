"""Typed clients of other services: what is written of a contract, what is refused, and calls between services that run."""

import ast
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import Service
from manifest import TEMPLATE, start_commands
from matrix import few
from owned import Owned
from running import Server, serving
from servers.processes import pause, tree
from test_readme import blocks
from updates import commit, copy_template, create_committed
from updates import run as run_committed

CONTRACTS = sorted((TEMPLATE / "tests/contracts").glob("*.json"))
ANSWERS = {"project_name": "Shop", "http_client": "yes", "tracing": "yes", "metrics": "yes"}


@pytest.fixture
def shop(bake: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owned:
    """A service that calls others, in whose folder this process is."""
    shop = Owned(bake(**ANSWERS), tmp_path / "shop")
    monkeypatch.chdir(shop.folder)
    return shop


@pytest.fixture(scope="module")
def client() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TEMPLATE)
        yield import_module("client")


@pytest.fixture
def make(client: ModuleType, shop: Owned, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Make a client of a contract: the status, and what was printed."""

    def make(contract: Any, name: str = "orders") -> tuple[int, str]:
        if not isinstance(contract, str):
            (tmp_path / "openapi.json").write_text(json.dumps(contract))
            contract = str(tmp_path / "openapi.json")
        done = CliRunner().invoke(client.main, ["--", contract, *([name] if name else [])])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, done.output

    return make


def texts(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def contract(**operation: Any) -> dict[str, Any]:
    """A contract with one operation, and this in it."""
    told = {"operationId": "read", "responses": {"200": {"description": ""}}} | operation
    return {"openapi": "3.1.0", "info": {"title": "Orders", "version": "1"}, "paths": {"/orders": {"get": told}}}


def answering(schema: Any, **schemas: Any) -> dict[str, Any]:
    """A contract with one operation, which answers this."""
    told = contract(responses={"200": {"description": "", "content": {"application/json": {"schema": schema}}}})
    return told | {"components": {"schemas": schemas}}


# --- what is written ---

#: All that a package calls: nothing of a contract becomes a call.
CALLED = {"settings", "call_peer", "check", "peer", "call", "json", "text", "Tagged", "commas", "range", "field"}
CALLED |= {"json_body", "form_body", "raw_body"}


@pytest.mark.slow
def test_contracts_make_packages(make: Callable[..., tuple[int, str]], shop: Owned) -> None:
    """Each passes the service's own checks, and its operations are asked and answered as the contract says."""
    assert len(CONTRACTS) == 10
    for file in CONTRACTS:
        status, printed = make(str(file), file.stem)
        assert status == 0, f"{file.stem}: {printed}"
        assert f"Wrote src/shop/clients/{file.stem}, with " in printed
        for module in (shop.package / "clients" / file.stem).glob("*.py"):
            tree = ast.parse(module.read_text())
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "?") for call in calls}
            own = {name for name in names if name.startswith(("list_", "Files", *(c.stem.title() for c in CONTRACTS)))}
            assert names <= CALLED | own, f"{module}: {names}"
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import) and node.names[0].name == "os"]
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        shop.python("-m", *tool)
    shop.test("tests/clients", "tests/test_imports.py", "tests/test_app.py", "--cov", "--cov-fail-under=0")
    assert not list(shop.folder.rglob("pwned"))
    assert not list(shop.folder.rglob("made_*"))


#: What a contract becomes, in a word or two of the package that is made of it.
WRITTEN = {
    "unions": ['tag_field="kind", tag="round"', "list[Opened | Closed]", "latest: Opened | Closed | None"],
    "files": ["multipart=True", "multipart=False", "file: File", "-> bytes", "-> str", "application/octet-stream"],
    "paging": ["def each_list_orders(", "Iterator[schemas.Order]", "def each_list_lines(", "Iterator[str]", "Decimal"],
    "lists": ["class State(Choice)", "class ThingLevel(Number)", "maybe: ThingMaybe | None", "open: str", "yes: bool"],
    "old": ["name: str | None", "id: int | UnsetType = UNSET", "boss: Address | None", "born: datetime.date | None"],
    "trees": ["children: list[Node]", "parent: Node | UnsetType | None = UNSET", "dict[str, Node]", "datetime.time"],
    "secured": ["secured=True", '("Authorization", "Bearer ")', "http://127.0.0.1:8001/base/v2"],
    "public": [
        "filter_name: str, size: int, cursor: str | UnsetType = UNSET, sort: list[str] | UnsetType = UNSET\n",
        *('"filter[name]": filter_name', "-> schemas.Owners:", "-> schemas.Owner | None:", "http_client.commas(x_ids)"),
        *("def read_lines(self) -> bytes:", "photo: str | UnsetType = UNSET", "photo: File", "any: Filter | UnsetType"),
        *("friend: Owner | UnsetType | None", "-> dict[str, Any] | list[Any] | str | float:", 'accept="text/json"'),
    ],
    "mixed": ["order_id: int", "http_client.commas(ids)", "x_tenant: str", "range(200, 300)", "class Both(Struct"],
}


@pytest.mark.parametrize("name", few(WRITTEN, 4))
def test_what_is_written(make: Callable[..., tuple[int, str]], shop: Owned, name: str) -> None:
    status, printed = make(str(TEMPLATE / f"tests/contracts/{name}.json"), name)
    assert status == 0, printed
    folder = shop.package / "clients" / name
    text = (folder / "__init__.py").read_text() + (folder / "schemas.py").read_text()
    assert [word for word in WRITTEN[name] if word not in text] == []


LEFT = {
    "mixed": [
        "GET /orders/{order-id}: the cookie parameter theme",
        "GET /orders/{order-id}: the query parameter filter",
        "Both: members that its contract does not name",
        "PUT /orders/{order-id}: callbacks",
        "GET /free: it has no answer of success",
        "HEAD /orders/{order-id}",
    ],
    "public": [
        "GET /owners: the query parameter filter[tags]",
        "Owner height: its type float, which JSON Schema does not know, is Any",
        "POST /owners: its body as text/json",
        "'DELETE /owners/{ids}': the 'cookie' parameter 'session' is not supported.",
        "POST /lines: the query parameter all",
        "Filter set: its list of values, which are no texts or numbers",
        "Filter age: its type float, which JSON Schema does not know, is Any",
        "Value: where it is in itself, it is Any",
        "PATCH /lines: Two operations would be called read_lines: give one another operationId.",
    ],
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_carried_over_is_listed(make: Callable[..., tuple[int, str]], shop: Owned, name: str) -> None:
    _, printed = make(str(TEMPLATE / f"tests/contracts/{name}.json"), name)
    head = "Not carried over: "
    assert [line.removeprefix(head) for line in printed.splitlines() if line.startswith(head)] == LEFT[name]
    # An address of the next page is no cursor, which could be sent.
    assert "def each_" not in (shop.package / f"clients/{name}/__init__.py").read_text()


def test_what_is_left_out_changes_nothing_else(client: ModuleType) -> None:
    """Neither a refused operation nor its tags, a cursor that is not sent, nor a schema that is only true."""
    schemas = {name: {"type": "object", "properties": {"k": {"type": "string"}}} for name in ("Cat", "Dog")}
    dog = {"$ref": "#/components/schemas/Dog"}
    pets = {"oneOf": [{"$ref": "#/components/schemas/Cat"}, dog], "discriminator": {"propertyName": "k"}}
    cursor = {"name": "cursor", "in": "query", "content": {"application/json": {"schema": True}}}
    true = {"name": "q", "in": "query", "schema": True}

    def content(schema: Any, kind: str = "application/json") -> dict[str, Any]:
        return {"content": {kind: {"schema": schema}}}

    contract = {"openapi": "3.1.0", "components": {"schemas": schemas}}
    contract["paths"] = {
        "/a": {"get": {"operationId": "a", "parameters": [cursor], "responses": {"200": content(dog)}}},
        "/b": {"post": {"operationId": "b", "requestBody": content(pets), "responses": {"200": content({}, "a b")}}},
        "/c": {"put": {"operationId": "c", "parameters": [true], "requestBody": content(True), "responses": {"200": content(True)}}},
    }  # fmt: skip
    made = client.Client(contract, "pets")
    assert list(made.methods) == ["a", "c"]
    assert made.classes["Dog"].tag is None
    assert [line for line in made.left_out if "cursor" in line or "/b" in line] == made.left_out[:2]


def test_settings_and_the_list(make: Callable[..., tuple[int, str]], shop: Owned) -> None:
    make(str(TEMPLATE / "tests/contracts/secured.json"), "orders")
    make(str(TEMPLATE / "tests/contracts/old.json"), "people")
    modules = (shop.package / "modules.py").read_text()
    assert modules.endswith(
        modules[modules.index('    "blueprints.main",\n    "clients.orders",\n    "clients.people",\n]') :]
    )
    example, readme = (shop.folder / ".env.example").read_text(), (shop.folder / "README.md").read_text()
    for name, value in (
        ("ORDERS_URL", "http://127.0.0.1:8001/base/v2"),
        ("ORDERS_TOKEN", ""),
        ("PEOPLE_URL", "http://127.0.0.1:8002"),
        ("PEOPLE_TIMEOUT", "2"),
        ("PEOPLE_REQUIRED", "false"),
    ):
        assert f"\n#{name}={value}\n" in example
        assert f"\n| `{name}` | {f'`{value}`' if value else ''} | " in readme.partition("### Settings of your own")[2]
    assert "PEOPLE_TOKEN" not in example
    read = "from shop import create_app; print(create_app({'APP_ENV': 'testing'}).config['ORDERS_URL'])"
    assert "http://127.0.0.1:8001/base/v2" in shop.python("-c", read)
    with pytest.raises(AssertionError, match="PEOPLE_URL: Must be a URL"):
        shop.python("-c", "from shop import create_app; create_app()")


# --- again ---


@pytest.mark.slow
def test_a_contract_that_changed_shows_at_the_calling_lines(make: Callable[..., tuple[int, str]], shop: Owned) -> None:
    told = json.loads((TEMPLATE / "tests/contracts/paging.json").read_text())
    make(told)
    shop.add(
        "blueprints.totals",
        "from flask import Blueprint\n\nfrom ..clients.orders import orders\n\nbp = Blueprint('totals', __name__)\n\n\n"
        "@bp.get('/totals')\ndef totals() -> list[str]:\n"
        "    return [str(order.total) for order in orders().each_list_orders(state='open')]\n",
    )
    shop.python("-m", "mypy")
    before = texts(shop.folder)
    make(told)
    assert texts(shop.folder) == before, "again changes nothing"
    order = told["components"]["schemas"]["Order"]
    order["properties"]["sum"] = order["properties"].pop("total")
    tenant = {"name": "X-Tenant", "in": "header", "required": True, "schema": {"type": "string"}}
    told["paths"]["/orders"]["get"]["parameters"].append(tenant)
    status, printed = make(told)
    assert status == 0, printed
    with pytest.raises(AssertionError) as found:
        shop.python("-m", "mypy")
    assert 'blueprints/totals.py:10: error: Missing named argument "x_tenant"' in str(found.value)
    assert 'blueprints/totals.py:10: error: "Order" has no attribute "total"' in str(found.value)


# --- what is refused ---

PAGES = {"get": {"responses": {"200": {"description": ""}}}}
FORM = {"content": {"multipart/form-data": {"schema": {"type": "string"}}}}
ODD_BODY = {"content": {"text/plain\r\nX: y": {}}}
REFUSED: dict[str, tuple[Any, str]] = {
    "Swagger": ({"swagger": "2.0", "paths": {}}, "The contract is not OpenAPI 3.0 or 3.1"),
    "a future version": ({"openapi": "4.0.0", "paths": {}}, "The contract is not OpenAPI 3.0 or 3.1: '4.0.0'"),
    "a list": ([], "is not a contract, but a list"),
    "no operation": ({"openapi": "3.1.0", "paths": {}}, "The contract has no operation"),
    "no paths": ({"openapi": "3.1.0"}, "is not valid OpenAPI: KeyError('paths')"),
    "paths that are a list": ({"openapi": "3.1.0", "paths": []}, "is not valid OpenAPI"),
    "a method that is none": ({"openapi": "3.1.0", "paths": {"/a": {"get": 1}}}, "is not valid OpenAPI"),
    "another document": (answering({"$ref": "other.json#/x"}), "'other.json#/x' is in another document"),
    "a web address": (answering({"$ref": "http://127.0.0.1:1/x"}), "is in another document"),
    "a file": (answering({"$ref": "file:///etc/passwd"}), "is in another document"),
    "a reference to nothing": (answering({"$ref": "#/components/schemas/X"}), "is not valid OpenAPI: KeyError('X')"),
    "a reference to itself": (
        answering({"$ref": "#/components/schemas/X"}, X={"$ref": "#/components/schemas/X"}),
        "refers to itself",
    ),
    "all of itself": (
        answering({"$ref": "#/components/schemas/X"}, X={"allOf": [{"$ref": "#/components/schemas/X"}]}),
        "nests without an end",
    ),
    "a form of a text": (contract(requestBody=FORM), "a form has to be an object with properties"),
    "a media type with a header in it": (contract(requestBody=ODD_BODY), "is no media type"),
    "a header with a line break": (
        contract(parameters=[{"name": "X\r\nY", "in": "header", "schema": {"type": "string"}}]),
        "cannot be the name of a header",
    ),
    "an object in the query": (
        contract(parameters=[{"name": "x", "in": "query", "required": True, "style": "deepObject", "schema": {}}]),
        "the 'query' parameter 'x' is not supported",
    ),
    "a cookie": (
        contract(parameters=[{"name": "x", "in": "cookie", "required": True, "schema": {"type": "string"}}]),
        "the 'cookie' parameter 'x' is not supported",
    ),
    "a parameter that is not declared": ({**contract(), "paths": {"/a/{b}": PAGES}}, "'{b}', which is not declared"),
    "a path without a slash": ({**contract(), "paths": {"a": PAGES}}, "is not a path"),
    "half a character": (answering({"type": "object", "properties": {"\ud800": {}}}), "surrogates not allowed"),
    "a member that msgspec does not take": (
        answering({"type": "object", "properties": {'a"b': {}}, "required": ['a"b']}),
        "whose name msgspec does not take",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(make: Callable[..., tuple[int, str]], shop: Owned, what: str) -> None:
    """One line, and nothing is written."""
    before = texts(shop.folder)
    status, printed = make(REFUSED[what][0])
    assert status == 1, printed
    assert REFUSED[what][1] in printed
    assert printed.count("\n") == 1
    assert len(printed) < 500
    assert texts(shop.folder) == before


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere.json", "There is no contract at nowhere.json"),
        (".", "There is no contract at ."),
        ("http://127.0.0.1:1/openapi.json", "There is no contract at http://127.0.0.1:1/openapi.json"),
        ("file:///etc/passwd", "There is no contract at file:///etc/passwd"),
        ("nowhere#main:openapi.json", "There is no contract at nowhere#main:openapi.json"),
        ("--upload-pack=touch pwned#main:openapi.json", "There is no contract at"),
        ("ext::sh -c touch% pwned#main:openapi.json", "There is no contract at"),
        ("README.md", "README.md is not JSON"),
    ],
)
def test_where_no_contract_is(make: Callable[..., tuple[int, str]], shop: Owned, address: str, message: str) -> None:
    before = texts(shop.folder)
    status, printed = make(address)
    assert (status, printed.count("\n")) == (1, 1), printed
    assert message in printed
    assert texts(shop.folder) == before


@pytest.mark.parametrize("name", ["class", "Orders", "a-b", "config", "schemas", "list", "x" * 31, "__import__('os')"])
def test_names_that_no_client_has(make: Callable[..., tuple[int, str]], name: str) -> None:
    status, printed = make(contract(), name)
    assert (status, printed.count("\n")) == (1, 1), printed
    assert "NAME=orders" in printed


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("src/shop/modules.py", "OWN = [", "OWN = list([", "has no list OWN"),
        ("README.md", "### Settings of your own", "### Mine", 'README.md has no table "Settings of your own"'),
        (".env.example", "\n", "\n#ORDERS_URL=here\n", "ORDERS_URL is in .env.example already"),
        ("src/shop/clients/orders/__init__.py", "", "mine = 1\n", "orders is in the way"),
    ],
)
def test_what_is_in_the_way(
    make: Callable[..., tuple[int, str]], shop: Owned, name: str, old: str, new: str, message: str
) -> None:
    path = shop.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.read_text().replace(old, new, 1) if path.exists() else new)
    before = texts(shop.folder)
    status, printed = make(contract())
    assert (status, printed.count("\n")) == (1, 1), printed
    assert message in printed
    assert texts(shop.folder) == before


def test_a_service_without_the_option(
    client: ModuleType, bake: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Owned(bake(), tmp_path / "service").folder)
    done = CliRunner().invoke(client.main, [str(CONTRACTS[0])])
    assert "This service has no http_client: make update ANSWERS=" in done.output
    assert not [path for path in bake(**ANSWERS).files if "clients/" in path]


# --- where a contract is ---


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_url_and_a_commit(make: Callable[..., tuple[int, str]], shop: Owned, tmp_path: Path) -> None:
    repository = tmp_path / "orders"
    repository.mkdir()
    run_committed("git", "init", "--quiet", "--initial-branch=main", cwd=repository)
    (repository / "openapi.json").write_text(json.dumps(contract()))
    commit(repository)
    run_committed("git", "tag", "v1", cwd=repository)
    (repository / "openapi.json").write_text("{}")
    commit(repository)
    assert make(f"{repository}#v1:openapi.json", "")[0] == 0
    assert (shop.package / "clients/orders/openapi.json").read_text() == json.dumps(contract())
    assert "not OpenAPI" in make(f"{repository}#main:openapi.json", "people")[1]
    (tmp_path / "served.json").write_text(json.dumps(contract()))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        assert make(f"http://127.0.0.1:{server.server_port}/served.json", "people")[0] == 0
        server.shutdown()
        thread.join()
    assert (shop.package / "clients/people/openapi.json").exists()


def test_the_command(tmp_path: Path) -> None:
    """``make client`` runs what the template had when it made the service."""
    template = copy_template(tmp_path / "template")
    service = create_committed(template, tmp_path / "made", **ANSWERS)
    (service / ".venv").symlink_to(Path(sys.executable).parents[1])
    (template / "client.py").write_text("raise SystemExit('a newer one')")
    commit(template)
    (tmp_path / "it's").mkdir()
    (tmp_path / "it's/openapi.json").write_text(json.dumps(contract()))
    command = ["make", "-o", ".venv/ready", "client", f"PYTHON={sys.executable}"]
    done = run_committed(*command, f"CONTRACT={tmp_path}/it's/openapi.json", cwd=service, PYTHONPATH="src")
    assert "Wrote src/shop/clients/orders, with 1 methods." in done.stdout
    refused = run_committed(*command, cwd=service, check=False)
    assert "make client CONTRACT=../orders/openapi.json" in refused.stderr


def test_the_readme(make: Callable[..., tuple[int, str]], shop: Owned) -> None:
    """Its view and its test, as they stand there."""
    text = (shop.folder / "README.md").read_text().partition("## Other services")[2].partition("\n## ")[0]
    view, test = blocks(text, "py")
    order = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    sent = {"type": "object", "required": ["basket"], "properties": {"basket": {"type": "integer"}}}
    told = answering({"$ref": "#/components/schemas/OrderOut"}, OrderOut=order, OrderIn=sent)
    operation = told["paths"]["/orders"].pop("get") | {"operationId": "create_order"}
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OrderIn"}}},
    }
    problem = {"application/problem+json": {"schema": {"type": "object"}}}
    operation["responses"] = {"201": operation["responses"]["200"], "409": {"description": "", "content": problem}}
    told["paths"]["/orders"]["post"] = operation
    assert make(told)[0] == 0
    imports, _, code = view.partition("\n\n\n")
    main = shop.package / "blueprints/main.py"
    main.write_text(main.read_text().replace("from flask import", f"{imports}\nfrom flask import", 1) + f"\n\n{code}")
    shop.python("-m", "ruff", "check", "--quiet", "--fix", "--select=I", str(main))
    (shop.folder / "tests/test_mine.py").write_text(
        f"from typing import Any\n\nfrom flask.testing import FlaskClient\n\n\n{test}"
    )
    shop.test("tests/test_mine.py", "tests/clients")


# --- services that run ---

VIEWS = '''
from time import monotonic

from flask import Blueprint, request

from ..clients.notes import notes, schemas
from ..extensions.http_client import ProblemError

bp = Blueprint("via", __name__)


@bp.get("/titles")
def titles() -> dict[str, list[str]]:
    return {"titles": [note.title for note in notes().each_list_notes(limit=2)]}


@bp.get("/round-trip")
def round_trip() -> dict[str, object]:
    """Every operation of the contract, over the network."""
    client, told = notes(), []
    told.append(client.convert(schemas.ConversionIn(celsius=100)).fahrenheit)
    made = [client.create_note(schemas.NoteIn(title=f"note {number}")) for number in range(5)]
    note, etag = made[0].value, made[0].etag
    again = client.create_note(schemas.NoteIn(title="once"), idempotency_key="1" * 20)
    told.append(again == client.create_note(schemas.NoteIn(title="once"), idempotency_key="1" * 20))
    told.append(client.read_note(note.id).value == note)
    for call, status in (
        (lambda: client.read_note(note.id, if_none_match=etag), 304),
        (lambda: client.change_note(note.id, schemas.NotePatch(title="x"), if_match='"another"'), 412),
        (lambda: client.create_note(schemas.NoteIn(title="")), 422),
        (lambda: client.list_notes(cursor="odd"), 404),
    ):
        try:
            call()
        except ProblemError as error:
            told.append(error.status == status and bool(error.members) == (status != 304))
    changed = client.change_note(note.id, schemas.NotePatch(title="changed"), if_match=etag)
    told.append(changed.value.title)
    client.delete_note(note.id, if_match=changed.etag)
    told.append([found.title for found in client.each_list_notes(limit=2)])
    told.append(len(client.list_notes(limit=3).value.items))
    return {"told": told}
'''


@pytest.fixture
def two(
    bake: Callable[..., Service], client: ModuleType, shop: Owned, tmp_path: Path
) -> Iterator[Callable[..., tuple[Server, Server]]]:
    """Two services, of which one calls the other: ``shop, notes = two()``."""
    notes = Owned(bake(project_name="Notes", preset="api", sql="sqlite"), tmp_path / "notes")
    for command in start_commands({"sqlalchemy", "api"}):
        notes.command(*command.split())
    done = CliRunner().invoke(client.main, ["../notes/openapi.json"])
    assert done.exit_code == 0, done.output
    shop.add("blueprints.via", VIEWS)
    with ExitStack() as running:

        def start(owned: Owned, log: str, **variables: str) -> Server:
            settings = {"APP_ENV": "development", "LOG_FORMAT": "json", "WEB_CONCURRENCY": "1", "PYTHONPATH": "src"}
            command = [sys.executable, "-m", owned.package.name, "serve"]
            return running.enter_context(serving(owned.folder, tmp_path / log, command, **settings | variables))

        def both(**variables: str) -> tuple[Server, Server]:
            other = start(notes, "notes.log")
            return start(shop, "shop.log", NOTES_URL=other.url, **variables), other

        yield both


def told(server: Server, path: str, **headers: str) -> tuple[int, Any]:
    status, body = server.get(path, **headers)
    return status, json.loads(body)


@pytest.mark.slow
def test_every_operation_of_a_service(two: Callable[..., tuple[Server, Server]]) -> None:
    shop, notes = two()
    headers = {"X-Request-ID": "of-the-caller"}
    status, answer = told(shop, "/round-trip", **headers)
    assert status == 200, answer
    titles = [f"note {number}" for number in range(1, 5)] + ["once"]
    assert answer["told"] == [212.0, True, True, True, True, True, True, "changed", titles, 3]
    assert told(shop, "/titles", **headers) == (200, {"titles": titles})
    shop.await_requests(2)
    lines = [line for line in notes.log_lines() if line["event"] == "request" and "/api/" in str(line["path"])]
    assert len(lines) > 15
    assert {line["request_id"] for line in lines} == {"of-the-caller"}


@pytest.mark.slow
def test_a_service_that_is_paused_and_killed_under_load(two: Callable[..., tuple[Server, Server]]) -> None:
    """The caller answers 502 or 504 within its limit, stays ready, and recovers by itself."""
    shop, notes = two(NOTES_TIMEOUT="2", WEB_THREADS="16")

    def ask(_: int) -> tuple[int, float, str]:
        started = time.monotonic()
        status, body = shop.get("/titles")
        return status, time.monotonic() - started, body.decode()

    def load(count: int) -> list[tuple[int, float, str]]:
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(ask, range(count)))

    assert {status for status, _, _ in load(40)} == {200}
    pause(tree(notes.process.pid))
    paused = load(40)
    assert {status for status, _, _ in paused} <= {502, 504}
    assert max(seconds for _, seconds, _ in paused) < 10
    assert all(json.loads(body)["peer"] == "notes" for _, _, body in paused)
    assert "is left alone" in shop.log.read_text(), "after five failures, nobody waits any more"
    assert shop.get("/readyz")[0] == 200
    os.killpg(notes.process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while shop.get("/titles")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert {status for status, _, _ in load(20)} == {200}
    os.killpg(notes.process.pid, signal.SIGKILL)
    killed = load(20)
    assert {status for status, _, _ in killed} == {502}
    assert shop.get("/readyz")[0] == 200


@pytest.mark.slow
def test_a_service_that_has_to_be_there(shop: Owned, client: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(contract()))
    CliRunner().invoke(client.main, [str(tmp_path / "openapi.json"), "orders"])
    command = [sys.executable, "-m", "shop", "serve"]
    settings = {"APP_ENV": "development", "PYTHONPATH": "src", "ORDERS_URL": "http://127.0.0.1:1"}
    for required, status in (("false", 200), ("true", 503)):
        with serving(shop.folder, tmp_path / "log", command, **settings, ORDERS_REQUIRED=required) as server:
            assert server.get("/readyz")[0] == status
            assert server.get("/livez")[0] == 200
