"""Errors: each is answered with a problem document, whatever raised it.

https://www.rfc-editor.org/rfc/rfc9457
"""

import json

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from .logs import request_id


def init_app(app: Flask) -> None:
    # An exception that no view expects reaches this as InternalServerError, after Flask has logged it.
    app.register_error_handler(HTTPException, lambda error: problem(error) if error.response is None else error)


def problem(error: HTTPException) -> Response:
    """Render an error as ``application/problem+json``, keeping headers such as Allow or Retry-After.

    :param error: its ``members``, a mapping, are added to the document if there are any.
    """
    base = {"type": "about:blank", "title": error.name, "status": error.code, "detail": error.description or error.name}
    body = json.dumps(base | {"request_id": request_id()} | getattr(error, "members", {}))
    return Response(body, error.code, error.get_headers(), content_type="application/problem+json")
