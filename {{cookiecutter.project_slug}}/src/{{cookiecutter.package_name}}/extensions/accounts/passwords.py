"""Passwords, hashed by argon2id. https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html"""

import secrets
import unicodedata
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from ..sqlalchemy import db

# 19 MiB for each thread that checks a password, and not 64, which is the default.
passwords = PasswordHash([Argon2Hasher(time_cost=2, memory_cost=19456, parallelism=1)])


def hash_password(password: str) -> str:
    """Hash a password. This ends the transaction first: hashing is slow, and others may wait for locks."""
    db.session.rollback()
    return passwords.hash(normal(password))


def verify_password(password: str, hashed: str | None) -> str | None:
    """Return the hash if the password is right, renewed if its parameters are outdated.

    It takes as long if there is no hash. This ends the transaction first.
    """
    db.session.rollback()
    valid, renewed = passwords.verify_and_update(normal(password), hashed or _nobody())
    return renewed or hashed if valid and hashed else None


def normal(password: str) -> str:
    """One text for what keyboards write in different ways. https://www.rfc-editor.org/rfc/rfc8265#section-4.2"""
    return unicodedata.normalize("NFC", password)


@cache
def _nobody() -> str:
    return passwords.hash(secrets.token_hex())
