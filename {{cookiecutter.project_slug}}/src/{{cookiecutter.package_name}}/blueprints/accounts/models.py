"""The tables of accounts. Columns of your own for people go into ``User``."""

from datetime import datetime
from time import time_ns

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ...extensions.accounts.throttle import now
from ...extensions.sqlalchemy import Base, UTCDateTime


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    #: A hash by argon2id, which says how it was made.
    password: Mapped[str] = mapped_column(String(255))
    #: Older links in mails are invalid. Nanoseconds, because some databases store whole seconds.
    links_since: Mapped[int] = mapped_column(BigInteger, default=time_ns)
    staff: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    #: The second factor, if there is one; and the last time step of which a code was used: no code is accepted twice.
    totp_secret: Mapped[str | None] = mapped_column(String(32))
    totp_step: Mapped[int] = mapped_column(default=0)

    passkeys: Mapped[list["Passkey"]] = relationship(cascade="all, delete-orphan", passive_deletes=True)

    def __str__(self) -> str:
        return self.email


class SignIn(Base):
    """A device on which somebody is signed in. To delete the row is to sign it out."""

    __tablename__ = "sign_ins"

    #: A digest: nobody who reads the table can sign in with it.
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    device: Mapped[str] = mapped_column(String(200), default="")
    remember: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    seen: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    #: When the user last authenticated on it.
    confirmed: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    #: The secret of a second factor that is being added.
    totp_secret: Mapped[str | None] = mapped_column(String(32))


class Passkey(Base):
    __tablename__ = "passkeys"

    #: A digest of the credential's id, which is too long for an index.
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    credential: Mapped[bytes] = mapped_column(LargeBinary(1023))
    key: Mapped[bytes] = mapped_column(LargeBinary(2048))
    count: Mapped[int] = mapped_column(BigInteger, default=0)
    created: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class RecoveryCode(Base):
    """A code for who has lost the second factor. It works once."""

    __tablename__ = "recovery_codes"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
