"""How a call to another service may fail."""

from collections.abc import Mapping
from typing import Any


class PeerError(Exception):
    """A call that failed. A view that does not catch it answers 502, or 504 if the service was too slow."""

    #: What the caller of this service is answered.
    code = 502

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer}: {reason}")
        self.peer = peer


class UnreachableError(PeerError):
    """There was no answer, or none in time.

    :param late: whether it was a time limit that ended the call.
    :param delivered: whether the service may have received the request, and acted on it.
    """

    def __init__(self, peer: str, reason: str, late: bool = False, delivered: bool = True) -> None:
        super().__init__(peer, reason)
        self.code = 504 if late else 502
        self.late, self.delivered = late, delivered


class ProblemError(PeerError):
    """An answer that is an error, or 304. https://www.rfc-editor.org/rfc/rfc9457"""

    def __init__(self, peer: str, status: int, members: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(peer, f"{status} {str(members.get('detail', ''))[:200]}".strip())
        self.status = status
        #: Of the problem document; empty if there is none.
        self.members = members
        self.headers = headers


class MalformedError(PeerError):
    """An answer that does not fit the contract: HTML, a redirect, a missing field, or too many bytes."""
