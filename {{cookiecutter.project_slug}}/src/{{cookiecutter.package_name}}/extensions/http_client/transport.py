"""How a request leaves the process: by urllib3, over connections that are kept open, with a limit for the whole answer.

The time-outs of urllib3, like those of all synchronous libraries, begin anew with each piece that arrives: an answer of
one byte a second never ends. Here, the whole answer, headers included, has to arrive before the deadline of the call.
https://urllib3.readthedocs.io/
"""

from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from socket import socket
from time import monotonic
from typing import Any

from .errors import MalformedError, UnreachableError

#: Seconds for a connection.
CONNECT = 1.0
#: Bytes of an answer.
LARGEST = 16 * 1024 * 1024

#: Sends a request: method, path with query, headers, body, seconds for all of it. Returns status, headers and content.
Send = Callable[[str, str, Mapping[str, str], bytes | None, float], tuple[int, Mapping[str, str], bytes]]


class Within(RawIOBase):
    """Reads a socket. The time-out that the socket has now is for everything that is read."""

    def __init__(self, sock: socket, file: Any) -> None:
        self.sock, self.file = sock, file
        self.deadline = monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
        count: int | None = self.file.raw.readinto(buffer)
        return count

    def close(self) -> None:
        super().close()
        self.file.close()


class Response(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = BufferedReader(Within(sock, self.fp), 65536)

    def begin(self) -> None:
        """Pass over each interim answer, such as 103; http.client does so with 100 alone. RFC 9110, 15.2"""
        super().begin()
        while 100 < self.status < 200:
            self.headers: Any = None
            super().begin()


def transport(name: str, url: str, connections: int) -> Send:
    """Make a function that sends requests to one service.

    :param name: what errors call it.
    :param connections: how many are kept; there may be more at the same time.
    """
    # Imported here, because it opens a socket to see whether there is IPv6.
    from urllib3 import Retry, Timeout, connection, connection_from_url, exceptions

    class Plain(connection.HTTPConnection):
        response_class = Response

    class Secure(connection.HTTPSConnection):
        response_class = Response

    once = Retry(False, redirect=False)
    pool: Any = connection_from_url(url, maxsize=connections)
    pool.ConnectionCls = Secure if pool.scheme == "https" else Plain

    def send(
        method: str, target: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        timeout = Timeout(connect=min(seconds, CONNECT), read=seconds)
        response = None
        try:
            response = pool.urlopen(
                method,
                target,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=once,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            content = b""
            if (response.length_remaining or 0) <= LARGEST:
                # An answer without a content is read, too: only then is its connection kept.
                while piece := response.read(LARGEST + 1 - len(content)):
                    content += piece
            if (response.length_remaining or 0) > 0 or len(content) > LARGEST:
                response.close()
                raise MalformedError(name, f"the answer has more than {LARGEST} bytes")
        except exceptions.NewConnectionError as error:
            raise UnreachableError(name, f"no connection: {error.__cause__}", delivered=False) from error
        except exceptions.ConnectTimeoutError as error:
            raise UnreachableError(name, "no connection in time", late=True, delivered=False) from error
        except exceptions.ReadTimeoutError as error:
            raise UnreachableError(name, f"{'half an' if response else 'no'} answer in time", late=True) from error
        except exceptions.SSLError as error:
            raise UnreachableError(name, f"no encrypted connection: {error}", delivered=False) from error
        except exceptions.HTTPError as error:
            raise UnreachableError(name, f"{'half an' if response else 'no'} answer: {error}") from error
        except ValueError as error:
            if response is None:  # It is about a header that was to be sent.
                raise
            raise UnreachableError(name, f"half an answer: {error}") from error
        return response.status, response.headers, content

    return send
