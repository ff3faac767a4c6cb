"""Answers in the database, in the transaction of the view: the effect and the answer are stored together or not at all.

To keep it one transaction, the commits of a view end savepoints in it. A second request waits for the end of the first,
because the primary key is unique. A process that is killed leaves nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Flask
from msgspec import json
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...sqlalchemy import Base, UTCDateTime, database, db
from . import KEPT, Answer, in_progress

#: Expired rows that are deleted with each new one.
BATCH = 10


class AnswerRow(Base):
    __tablename__ = "idempotency"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    #: JSON. MySQL takes 64 KB unless it is told more.
    answer: Mapped[bytes] = mapped_column(sa.LargeBinary(2**24 - 1))


def init_app(app: Flask) -> None:
    app.extensions["idempotency"] = once


def once(key: str, make: Callable[[], Answer]) -> Answer:
    """Return the answer that is kept under a key, or make it and keep it."""
    db.session.rollback()  # Authentication may have used the session, which would hold a second connection.
    now = datetime.now(UTC)
    with db.sessionmaker() as whole:
        connection = whole.connection()
        try:
            whole.execute(sa.insert(AnswerRow).values(id=key, expires=now + KEPT, answer=b""))
        except sa.exc.IntegrityError:
            whole.rollback()
            row = whole.get(AnswerRow, key)
            if row and row.expires > now:
                return json.decode(row.answer, type=Answer)
            whole.execute(sa.delete(AnswerRow).where(AnswerRow.id == key, AnswerRow.expires <= now))
            whole.commit()
            return once(key, make)
        except sa.exc.OperationalError as error:
            # The statement has waited for the first request until its time-out.
            if error.connection_invalidated or not database(connection.engine.url).unavailable(error.orig):
                raise
            in_progress()
        with _joined(db.session, connection):
            answer = make()
        whole.execute(sa.update(AnswerRow).where(AnswerRow.id == key).values(answer=json.encode(answer)))
        expired = sa.select(AnswerRow.id).where(AnswerRow.expires <= now).order_by(AnswerRow.expires).limit(BATCH)
        if keys := whole.scalars(expired.with_for_update(skip_locked=True)).all():
            whole.execute(sa.delete(AnswerRow).where(AnswerRow.id.in_(keys)))
        whole.commit()
    return answer


@contextmanager
def _joined(session: Session, connection: sa.Connection) -> Iterator[None]:
    """Let a session work in a transaction that it does not end.

    https://docs.sqlalchemy.org/en/21/orm/session_transaction.html#joining-a-session-into-an-external-transaction-such-as-for-test-suites
    """
    before = session.bind, session.join_transaction_mode
    session.bind, session.join_transaction_mode = connection, "create_savepoint"
    try:
        yield
    finally:
        session.bind, session.join_transaction_mode = before
        session.rollback()  # What the view has not committed.
