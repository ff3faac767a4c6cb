"""The same key twice, on every store: one effect, and the same answer."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from time import sleep
from types import ModuleType
from typing import Annotated, Any

import msgspec
import pytest
from flask import Flask, Response, abort, g, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

(FOLDER,) = Path(__file__).parents[3].glob("src/*/extensions/api/idempotency")
Decorator = Callable[[Any], Callable[..., Response]]
STORES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


class Order(msgspec.Struct):
    what: Annotated[str, msgspec.Meta(min_length=1)]


@pytest.fixture
def effects() -> list[str]:
    return []


@pytest.fixture(params=STORES)
def app(
    request: pytest.FixtureRequest, probe: Callable[..., Flask], api: Callable[[str], Any], effects: list[str]
) -> Flask:
    # Each store has a fixture of its name, which empties it.
    request.getfixturevalue(request.param)
    app = probe("extensions.api", f"extensions.{request.param}", f"extensions.api.idempotency.{request.param}")
    contract = api("contract")
    idempotent: Callable[[], Decorator] = api("idempotency").idempotent
    operation: Callable[..., Decorator] = contract.operation

    @app.post("/api/v1/orders")
    @idempotent()
    @operation(errors=[409], etag=True)
    def order(json: Order) -> contract.Created[Order]:  # type: ignore[name-defined]
        if json.what == "nothing":
            abort(409)
        effects.append(json.what)
        if json.what == "too much" and len(effects) == 1:
            raise RuntimeError
        return contract.Created(json, f"/orders/{len(effects)}")

    @app.post("/api/v1/orders/<int:number>/lines")
    @idempotent()
    @operation(202, headers={"X-Number": "Which it is."})
    def add_line(number: int, form: Order) -> tuple[None, int, dict[str, str]]:
        effects.append(f"{number} {form.what}")
        return None, 202, {"X-Number": str(len(effects))}

    return app


def send(client: FlaskClient, what: str = "tea", key: str = '"8e03978e-40d5-43dd-bc93-6894a57f9324"') -> TestResponse:
    return client.post("/api/v1/orders", json={"what": what}, headers={"Idempotency-Key": key})


def told(response: TestResponse) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in response.headers if name != "X-Request-ID"}
    return response.status_code, headers, response.data


def test_the_same_key_twice(client: FlaskClient, effects: list[str]) -> None:
    first, second = send(client), send(client)
    assert (first.status_code, first.json, first.headers["Location"]) == (201, {"what": "tea"}, "/orders/1")
    assert told(second) == told(first)
    assert "ETag" in second.headers
    assert second.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert effects == ["tea"]


def test_other_keys_and_none(client: FlaskClient, effects: list[str]) -> None:
    places = [send(client, key=key).headers["Location"] for key in ("a", "b", "A")]
    places += [client.post("/api/v1/orders", json={"what": "tea"}).headers["Location"] for _ in range(2)]
    assert places == [f"/orders/{number}" for number in range(1, 6)]


def test_a_key_with_another_request(client: FlaskClient, effects: list[str]) -> None:
    send(client)
    refused = send(client, "coffee")
    assert (refused.status_code, refused.mimetype) == (422, "application/problem+json")
    assert "Idempotency-Key" in refused.get_json()["detail"]
    assert send(client).status_code == 201
    assert effects == ["tea"]


def test_a_key_belongs_to_a_route(client: FlaskClient, effects: list[str]) -> None:
    assert send(client, key="a").status_code == 201
    headers = {"Idempotency-Key": "a"}

    def add(number: int, what: str) -> TestResponse:
        return client.post(f"/api/v1/orders/{number}/lines", data={"what": what}, headers=headers)

    assert add(1, "milk").status_code == 202
    assert add(1, "milk").headers["X-Number"] == "2"
    assert [add(2, "milk").status_code, add(1, "sugar").status_code] == [422, 422]
    assert effects == ["tea", "1 milk"]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "caf\xe9", "a\tb"])
def test_a_malformed_key(client: FlaskClient, effects: list[str], key: str) -> None:
    refused = send(client, key=key)
    assert (refused.status_code, effects) == (400, [])
    assert refused.get_json()["detail"].startswith("Idempotency-Key has 1 to 255 ")
    assert send(client, key="x" * 255).status_code == 201


@pytest.mark.parametrize(("what", "status"), [("", 422), ("nothing", 409), ("too much", 500)])
def test_an_error_is_not_kept(app: Flask, effects: list[str], what: str, status: int) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    assert send(client, what).status_code == status
    if status == 500:
        assert [send(client, what).status_code for _ in range(2)] == [201, 201]
        assert effects == [what, what]
    else:
        assert send(client).status_code == 201


def test_an_answer_expires(
    client: FlaskClient, effects: list[str], package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        for store in STORES:
            module = import_module(f".extensions.api.idempotency.{store}", package.__name__)
            short.setattr(module, "KEPT", timedelta(seconds=1))
        send(client)
    sleep(1.1)
    assert send(client, "coffee").headers["Location"] == "/orders/2"
    assert send(client, "coffee").headers["Location"] == "/orders/2"


def test_callers_do_not_see_the_answers_of_others(app: Flask, api: Callable[[str], Any]) -> None:
    contract, security, idempotency = api("contract"), api("security"), api("idempotency")
    security.scheme(app, "caller", {"type": "http", "scheme": "basic"}).append(lambda: request.headers.get("X-Caller"))
    with pytest.raises(contract.ContractError, match="idempotent\\(who="):
        idempotency.idempotent()(contract.operation(security="caller")(whoami))

    view = idempotency.idempotent(lambda: g.user)(contract.operation(security="caller")(whoami))
    app.add_url_rule("/api/v1/whoami", view_func=view, methods=["POST"])
    client = app.test_client()

    def ask(**headers: str) -> TestResponse:
        return client.post("/api/v1/whoami", headers={"Idempotency-Key": "a"} | headers)

    assert [ask(**{"X-Caller": name}).json for name in ("Ada", "Bob", "Ada")] == ["Ada", "Bob", "Ada"]
    assert ask().status_code == 401


def whoami() -> str:
    return str(g.user)


def test_the_contract_tells_of_it(app: Flask, api: Callable[[str], Any]) -> None:
    document = msgspec.json.decode(api("openapi").make(app, "/api/v1"))
    operation = document["paths"]["/api/v1/orders"]["post"]
    (parameter,) = operation["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("Idempotency-Key", "header", False)
    assert {"400", "409", "422"} <= operation["responses"].keys()
