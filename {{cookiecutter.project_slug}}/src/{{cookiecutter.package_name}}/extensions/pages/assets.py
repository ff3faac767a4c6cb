"""Static files, under names that change with their contents, so that browsers keep them for a year.

``url_for("static", filename="pages/style.css")`` is such a name. A worker that has other contents, as while a new
release is rolled out, answers 404: the wrong file would be kept for a year. Files are kept in memory, compressed once:
they should be few, and not large. https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Cache-Control#immutable
"""

import gzip
import os
import re
from functools import lru_cache
from hashlib import blake2b
from mimetypes import guess_type
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, Response, abort, current_app, request
from werkzeug.security import safe_join

HASHED = re.compile(r"(.+)\.([0-9a-f]{16})(\.[^./]+)")


class Asset(NamedTuple):
    body: bytes
    zipped: bytes
    digest: str


def init_app(app: Flask) -> None:
    app.url_defaults(name_by_contents)
    app.view_functions["static"] = send


def name_by_contents(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and (asset := find(values["filename"])):
        stem, dot, suffix = values["filename"].rpartition(".")
        values["filename"] = f"{stem}.{asset.digest}{dot}{suffix}" if dot else suffix


def send(filename: str) -> Response:
    """Send a file of the folder ``static``."""
    asset, cache = find(filename), "no-cache"
    if asset is None:
        stem, digest, suffix = (HASHED.fullmatch(filename) or abort(404)).groups()
        asset, cache = find(stem + suffix), "public, max-age=31536000, immutable"
        if asset is None or asset.digest != digest:
            abort(404)
    zipped = len(asset.zipped) < len(asset.body) and request.accept_encodings["gzip"] > 0
    kind = guess_type(filename)[0] or "application/octet-stream"
    response = current_app.response_class(asset.zipped if zipped else asset.body, mimetype=kind)
    response.headers |= {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{asset.digest}-gzip" if zipped else asset.digest)
    response.make_conditional(request)
    return response


def find(name: str) -> Asset | None:
    """The file of this name; read anew when it has changed."""
    try:
        path = safe_join(str(current_app.static_folder), name) or abort(404)
        return _read(path, os.stat(path).st_mtime_ns)
    except (OSError, ValueError):  # no such file, a folder; a name that no file can have
        return None


@lru_cache(1000)
def _read(path: str, _: int) -> Asset:
    body = Path(path).read_bytes()
    return Asset(body, gzip.compress(body, mtime=0), blake2b(body, digest_size=8).hexdigest())
