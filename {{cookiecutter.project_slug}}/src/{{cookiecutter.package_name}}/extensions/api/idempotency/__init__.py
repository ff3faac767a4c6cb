"""POST that a client may repeat: with the same ``Idempotency-Key``, it has one effect and the same answer.

    @bp.post("/orders")
    @idempotent()
    @operation()
    def create_order(json: OrderIn) -> Created[Order]:

The modules beside this one keep answers, each in one store. The first of them is used.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, NoReturn

from flask import Response, abort, current_app, g, request
from msgspec import Struct
from werkzeug.exceptions import Conflict

from ....core.errors import problem
from ..contract import ContractError, Operation

#: How long answers are kept.
KEPT = timedelta(days=1)
KEY = "^[!-~]{1,255}$"
PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A UUID. Send it again to repeat the request: it has one effect.",
    "schema": {"type": "string", "pattern": KEY},
}


class Answer(Struct, array_like=True):
    """What is kept: an answer, and a digest of the request."""

    request: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def idempotent(who: Callable[[], str] | None = None) -> Callable[[Operation], Operation]:
    """Let clients repeat an operation. It stands above ``@operation``.

    :param who: tells callers apart, such as ``lambda: g.user.id``: an answer is for the caller of the first request.
        Callers with bearer tokens are told apart without it.
    """
    return lambda operation: Idempotent(operation, who)


class Idempotent(Operation):
    """An operation that is run once for each key. Without a key, it is what it was."""

    def __init__(self, operation: Operation, who: Callable[[], str] | None) -> None:
        if operation.security == ("bearer",):
            who = who or (lambda: g.user.subject)
        if operation.security and not who:
            raise ContractError(f"{operation.id} has callers: tell them apart by @idempotent(who=...).")
        vars(self).update(vars(operation))
        self.who = who
        self.errors = {*operation.errors, 409}
        self.parameters = [*operation.parameters, PARAMETER]

    def __call__(self, **arguments: Any) -> Response:
        if "form" in self.texts:
            request.get_data()  # Parsing a form would consume the body, which is compared.
        return super().__call__(**arguments)

    def run(self, arguments: dict[str, Any]) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return super().run(arguments)
        if not re.fullmatch(KEY, key):
            abort(400, "Idempotency-Key has 1 to 255 printable ASCII characters and no blanks.")
        asked = _digest(request.method, request.full_path, request.get_data())
        name = _digest(str(request.url_rule), self.who() if self.who else "", key)
        answer: Answer = current_app.extensions["idempotency"](name, partial(self._answer, arguments, asked))
        if answer.request != asked:
            abort(422, "This Idempotency-Key was sent with another request.")
        return current_app.response_class(answer.body, answer.status, answer.headers)

    def _answer(self, arguments: dict[str, Any], asked: str) -> Answer:
        response = super().run(arguments)
        if response.status_code >= 400:
            abort(response)  # Errors are not kept, whether raised or returned.
        return Answer(asked, response.status_code, list(response.headers), response.get_data())


def in_progress() -> NoReturn:
    """Answer 409: the first request has not ended."""
    response = problem(Conflict("A request with this Idempotency-Key has not ended: repeat it later."))
    response.headers["Retry-After"] = "1"
    abort(response)


def _digest(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()
