"""The ids of notes, in whichever store they are."""

import secrets
from time import time_ns
from uuid import UUID


def new_id() -> UUID:
    """A UUID of version 7: as a text, and as bytes, it sorts by the time. Python 3.14 has ``uuid.uuid7``.

    https://www.rfc-editor.org/rfc/rfc9562#section-6.2, method 3
    """
    milliseconds, nanoseconds = divmod(time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62))
