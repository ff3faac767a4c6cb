"""JSON by orjson: fast, and strict where the standard library accepts what is not JSON.

``NaN``, lone surrogates, invalid UTF-8 and endless nesting are refused, which ``request.get_json``
answers with 400. https://github.com/ijl/orjson
"""

from typing import Any

import orjson
from flask import Flask
from flask.json.provider import DefaultJSONProvider
from werkzeug.sansio.response import Response


def init_app(app: Flask) -> None:
    app.json = Provider(app)


class Provider(DefaultJSONProvider):
    """What ``jsonify``, ``request.get_json`` and views that return a ``dict`` go through."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return self._encode(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        body = self._encode(self._prepare_response_obj(args, kwargs))
        return self._app.response_class(body, mimetype=self.mimetype)  # type: ignore[arg-type]

    def _encode(self, obj: Any) -> bytes:
        return orjson.dumps(obj, default=self.default, option=orjson.OPT_NON_STR_KEYS)
