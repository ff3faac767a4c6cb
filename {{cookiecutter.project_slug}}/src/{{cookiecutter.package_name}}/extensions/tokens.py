"""Tokens of this service for machines: random, each with a name, scopes and an end; ``flask tokens`` makes and revokes them.

A token is shown once, when it is made; the database has its digest. To change a token, make a second one, use it, and
revoke the first. A token that is revoked is refused with the next request, because nothing keeps tokens in memory.
https://www.rfc-editor.org/rfc/rfc6750
"""

import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa
from flask import Flask, current_app, request
from flask.cli import AppGroup
from sqlalchemy.orm import Mapped, mapped_column
from structlog.contextvars import bind_contextvars

from .api.bearer import Caller, known_scopes, readers
from .sqlalchemy import Base, UTCDateTime, db

if TYPE_CHECKING:
    from ..core.settings import Env

#: The prefix lets secret scanners find a token. 32 random bytes follow, in URL-safe base64.
PREFIX = f"{__name__.partition('.')[0]}_"
FORM = re.compile(PREFIX + "[A-Za-z0-9_-]{43}")
#: The use of a token is recorded once in this time.
NOTED = timedelta(minutes=1)

commands = AppGroup("tokens", help="Tokens of machines that call the API.")


class Token(Base):
    """A token. To delete the row is to revoke it."""

    __tablename__ = "tokens"

    #: The table contains no token. A slow hash protects passwords; nobody can guess 32 random bytes.
    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    #: Separated by blanks.
    scopes: Mapped[str] = mapped_column(sa.Text)
    created: Mapped[datetime] = mapped_column(UTCDateTime)
    expires: Mapped[datetime] = mapped_column(UTCDateTime)
    used: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def id(self) -> str:
        """Its name in lists, and in ``g.user.subject``: the beginning of the digest."""
        return self.digest[:12]


FOUND = sa.select(Token.digest, Token.name, Token.scopes, Token.expires, Token.used).where(
    Token.digest == sa.bindparam("sought")
)


def config(env: "Env") -> dict[str, Any]:
    # For redaction, in logs and in reports of errors.
    return {"TOKENS_SECRET_PATTERN": FORM.pattern}


def init_app(app: Flask) -> None:
    app.cli.add_command(commands)
    # In a thread, because no request waits for the lock of a row, or of a file. Tests have one connection.
    later = (lambda call: call()) if app.testing else ThreadPoolExecutor(1, "tokens").submit
    readers(app).append(partial(read, later))


def read(later: Callable[[Callable[[], None]], object], token: str) -> Caller | None:
    """Find the token of a request; None if it is not valid.

    A better guess takes no longer than any other, because the database compares digests.
    """
    if not FORM.fullmatch(token):
        return None
    begun = db.session.in_transaction()
    row = db.session.connection().execute(FOUND, {"sought": digest(token)}).first()
    if not begun and request.method not in ("GET", "HEAD"):
        db.session.rollback()  # Reading the body may take long: no transaction stays open meanwhile.
    now = datetime.now(UTC)
    if row is None or row.expires <= now:
        return None
    bind_contextvars(caller=row.name)
    if row.used is None or row.used <= now - NOTED:
        later(partial(note, current_app._get_current_object(), row.digest))  # type: ignore[attr-defined]
    return Caller(f"token:{row.digest[:12]}", frozenset(row.scopes.split()))


def note(app: Flask, digest: str) -> None:
    """Record the use of a token, in a transaction of its own. If that fails, the next request tries again."""
    now = datetime.now(UTC)
    stale = sa.or_(Token.used.is_(None), Token.used <= now - NOTED)
    with app.app_context(), suppress(sa.exc.SQLAlchemyError), db.sessionmaker() as own:
        own.execute(sa.update(Token).where(Token.digest == digest, stale).values(used=now))
        own.commit()


def digest(token: str) -> str:
    return blake2b(token.encode(errors="replace"), digest_size=32).hexdigest()


def new(name: str, scopes: list[str], days: int) -> tuple[str, Token]:
    """Make a token, and the row that is to be stored."""
    token, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
    row = Token(
        digest=digest(token), name=name, scopes=" ".join(scopes), created=now, expires=now + timedelta(days=days)
    )
    return token, row


@contextmanager
def click_errors() -> Iterator[None]:
    """End a command with one line if the database is away, or is not migrated."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise click.ClickException(" ".join(str(error.orig).split())) from error


@commands.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="What it may do, such as notes:read; can be repeated.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3650), help="How long it works.")
@click_errors()
def make(name: str, scopes: tuple[str, ...], days: int) -> None:
    """Make a token called NAME, and print it: nobody can read it again."""
    if not (name.isprintable() and name.strip() and len(name) <= 80):
        raise click.BadParameter("It has 1 to 80 printable characters.", param_hint="NAME")
    known = known_scopes(current_app)
    if unknown := sorted({*scopes} - known):
        there = f"there are {', '.join(sorted(known))}" if known else "none has any"
        raise click.BadParameter(f"No operation asks for {', '.join(unknown)}: {there}.", param_hint="--scope")
    token, row = new(name, sorted({*scopes}), days)
    db.session.add(row)
    db.session.commit()
    click.echo(f"{row.id} works until {row.expires:%Y-%m-%d %H:%M} UTC. Keep it: it is not shown again.", err=True)
    click.echo(token)


@commands.command("list")
@click_errors()
def list_() -> None:
    """List the tokens, and when each was last used."""
    for row in db.session.scalars(sa.select(Token).order_by(Token.name, Token.created)):
        ends = "expired" if row.expires <= datetime.now(UTC) else "expires"
        used = f"used {row.used:%Y-%m-%d %H:%M}" if row.used else "never used"
        click.echo(f"{row.id}  {row.name}  {row.scopes or '(no scopes)'}  {ends} {row.expires:%Y-%m-%d %H:%M}  {used}")


@commands.command()
@click.argument("token")
@click_errors()
def revoke(token: str) -> None:
    """Revoke the token of this name or id, or one that was found: it is refused from the next request on."""
    given = digest(token)
    rows = [row for row in db.session.scalars(sa.select(Token)) if token in (row.name, row.id) or row.digest == given]
    if len(rows) != 1:
        ids = ", ".join(row.id for row in rows)
        raise click.ClickException(f"Several have this name, say which: {ids}." if rows else "There is no such token.")
    db.session.delete(rows[0])
    db.session.commit()
    click.echo(f"{rows[0].id} is revoked.")
