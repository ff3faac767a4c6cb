"""The mailbox of development: mails are files, which all processes share, and ``/dev/mailbox`` shows them.

Only development, and there only without ``MAIL_HOST``, imports this module.
"""

from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from secrets import token_hex
from time import time_ns

import structlog
from flask import Blueprint, Response, abort, render_template
from flask.typing import ResponseReturnValue

#: In the folder in which the service was started.
FOLDER = Path("development.mails")
#: Older mails are removed.
MOST = 100
#: The policy of the HTML of a mail: its own styles and embedded images, and no script.
POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
#: The policy of the pages around it.
FRAME = "default-src 'none'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

bp = Blueprint("mailbox", __name__, url_prefix="/dev/mailbox", template_folder="templates")


def keep(message: EmailMessage) -> None:
    """Write a mail into its file, at once, because another process may be reading the folder."""
    FOLDER.mkdir(exist_ok=True)
    name = f"{time_ns()}-{token_hex(4)}"
    written = FOLDER / f"{name}.part"
    written.write_bytes(message.as_bytes())
    written.rename(FOLDER / f"{name}.eml")
    for old in names()[MOST:]:
        (FOLDER / f"{old}.eml").unlink(missing_ok=True)
    structlog.get_logger().info("mail_kept", read=f"/dev/mailbox/{name}", file=f"{FOLDER}/{name}.eml")


def names() -> list[str]:
    """The names of all mails, the newest first."""
    return sorted((path.stem for path in FOLDER.glob("*.eml")), reverse=True)


def found(name: str) -> EmailMessage:
    """Read a mail, or answer 404."""
    if name not in names():
        abort(404)
    return _read(name)


def part(message: EmailMessage, kind: str) -> str | None:
    """The text, ``plain``, or the HTML, ``html``, of a mail."""
    body = message.get_body((kind,))
    return str(body.get_content()) if body else None


@bp.get("")
def index() -> ResponseReturnValue:
    """List the mails."""
    return _page("email/mailbox.html", mails=list(_mails()))


@bp.get("/<name>")
def mail(name: str) -> ResponseReturnValue:
    """Show a mail."""
    message = found(name)
    html = part(message, "html")
    return _page("email/mail.html", name=name, headers=message.items(), text=part(message, "plain"), html=html)


@bp.get("/<name>/html")
def html(name: str) -> ResponseReturnValue:
    """Answer with the HTML of a mail, for the frame in its page."""
    text = part(found(name), "html")
    if text is None:
        abort(404)
    return Response(text, headers={"Content-Security-Policy": POLICY, "X-Frame-Options": "SAMEORIGIN"})


def _mails() -> Iterator[tuple[str, EmailMessage]]:
    for name in names():
        with suppress(FileNotFoundError):  # Another process has removed it.
            yield name, _read(name)


def _read(name: str) -> EmailMessage:
    return message_from_bytes((FOLDER / f"{name}.eml").read_bytes(), policy=default)


def _page(template: str, **context: object) -> Response:
    return Response(render_template(template, **context), headers={"Content-Security-Policy": FRAME})
