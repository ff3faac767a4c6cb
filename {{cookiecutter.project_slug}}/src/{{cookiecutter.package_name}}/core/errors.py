"""Errors: every one is answered with a problem document, whatever raised it.

https://www.rfc-editor.org/rfc/rfc9457
"""

import orjson
from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from .logs import request_id


def init_app(app: Flask) -> None:
    # An exception that no view expects reaches this as InternalServerError, after Flask has logged it.
    app.register_error_handler(HTTPException, answer)


def answer(error: HTTPException) -> ResponseReturnValue:
    """Answer what ``abort`` raised; an error that carries a response of its own is answered with that."""
    return error if error.response is not None else problem(error)


def problem(error: HTTPException) -> Response:
    """Render an error as ``application/problem+json``, keeping headers such as Allow or Retry-After.

    :param error: its ``members``, if it has any, are told as well.
    """
    response = Response.force_type(error.get_response())
    response.data = orjson.dumps(
        {
            "type": "about:blank",
            "title": error.name,
            "status": error.code,
            "detail": error.description or error.name,
            "request_id": request_id.get(),
            **getattr(error, "members", {}),
        }
    )
    response.content_type = "application/problem+json"
    return response
