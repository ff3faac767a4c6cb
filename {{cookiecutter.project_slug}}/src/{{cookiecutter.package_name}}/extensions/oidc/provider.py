"""The provider: its description, its keys, and the tokens that it has signed.

https://openid.net/specs/openid-connect-discovery-1_0.html, https://www.rfc-editor.org/rfc/rfc8725
"""

import json
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from threading import Lock
from time import monotonic, time
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode
from werkzeug.exceptions import ServiceUnavailable

#: Never ``none``, and never HMAC, whose key would be the provider's public one.
ALGORITHMS = ["ES256", "ES384", "ES512", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]
#: Plain HTTP is for this machine alone.
URL = r"https://[^\s/?#@]+(?:/[^\s?#]*)?|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/[^\s?#]*)?"
#: Seconds: after which keys are read again; in which they are read ``MOST`` times at most; until the next try if no key
#: was ever read; that an answer may take.
FRESH, PERIOD, AGAIN, TIMEOUT = 600, 60, 5, 3
#: Otherwise, strangers could make this service flood the provider.
MOST = 2
#: Bytes of a token, and of an answer.
LARGEST_TOKEN, LARGEST_ANSWER = 16_384, 1_000_000
#: Seconds by which clocks may differ.
LEEWAY = 30

Strings = Mapping[str, str]
NONE: Strings = {}
TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


def now() -> int:
    """Seconds since 1970."""
    return int(time())


class TokenError(Exception):
    """A token is not valid. The message is for the log, and quotes nothing of the token."""


class AnswerError(Exception):
    """The provider gave no answer, or none that can be used."""


class RefusedError(AnswerError):
    """The provider says that a request is wrong."""


class Provider:
    """A provider, whose description and keys are read when they are first needed. All threads share it."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        #: What it says of itself: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
        self.metadata: dict[str, Any] = {}
        self.keys: dict[str, Key] = {}
        self.read = float("-inf")
        self.tries: deque[float] = deque(maxlen=MOST)
        self.lock = Lock()

    def describe(self) -> dict[str, Any]:
        """Return its description.

        :raises ServiceUnavailable: if it was never read.
        """
        self.refresh(lambda: bool(self.metadata))
        if not self.metadata:
            raise ServiceUnavailable("The identity provider does not answer.", retry_after=AGAIN)
        return self.metadata

    def key(self, kid: str) -> Key | None:
        """Return a key. An unknown one may be new, and is asked for. While the provider is away, known keys stay valid.

        :raises ServiceUnavailable: if no key was ever read.
        """
        self.refresh(lambda: kid in self.keys)
        if not self.keys:
            raise ServiceUnavailable("The identity provider does not answer.", retry_after=AGAIN)
        return self.keys.get(kid)

    def refresh(self, is_known: Callable[[], bool]) -> None:
        """Read the keys if they are old, or if one is missing. One thread reads; those that need the result wait."""
        known, tried = is_known(), self.last_try()
        if known and monotonic() - self.read < FRESH:
            return
        if not self.lock.acquire(blocking=not known, timeout=-1 if known else 2 * TIMEOUT):
            return
        try:
            # Unless another thread has read them in the meantime
            if known == is_known() and tried == self.last_try() and self.may_try():
                self.tries.append(monotonic())
                self.load()
        finally:
            self.lock.release()

    def last_try(self) -> float:
        return self.tries[-1] if self.tries else float("-inf")

    def may_try(self) -> bool:
        if not self.keys:
            return monotonic() - self.last_try() >= AGAIN
        return len(self.tries) < MOST or monotonic() - self.tries[0] >= PERIOD

    def load(self) -> None:
        try:
            deadline = monotonic() + TIMEOUT
            metadata = fetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration", deadline=deadline)
            if metadata["issuer"] != self.issuer:
                raise AnswerError("its description names another issuer")
            keys = usable(fetch(metadata["jwks_uri"], deadline=deadline)["keys"])
            if not keys:
                raise AnswerError("it has no key that can be used")
        except (AnswerError, KeyError, TypeError) as error:
            structlog.get_logger().warning("oidc_provider_unavailable", issuer=self.issuer, reason=str(error))
        else:
            self.metadata, self.keys, self.read = metadata, keys, monotonic()

    def verify(self, token: str, types: Collection[str], audience: str) -> dict[str, Any]:
        """Return the claims of a token.

        :param types: what the header ``typ`` may say, in lower case; "" is for a token without one.
        :raises TokenError: unless the provider has signed it, for this audience, and it is valid now.
        :raises ServiceUnavailable: if no key was ever read.
        """
        header, _ = peek(token)
        kid, kind = header.get("kid"), header.get("typ", "")
        # An ID token is no access token: https://www.rfc-editor.org/rfc/rfc9068#section-4
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in types:
            raise TokenError("it is of another type")
        if "crit" in header or not isinstance(kid, str):
            raise TokenError("it names no key, or asks for an extension")
        # Checked before the key: a token that cannot be valid is no reason to ask the provider.
        if header.get("alg") not in ALGORITHMS:
            raise TokenError("its algorithm is refused")
        if (key := self.key(kid)) is None:
            raise TokenError("its key is unknown")
        essential: Any = {"essential": True}
        expected = {"iss": essential | {"value": self.issuer}, "aud": essential | {"value": audience}}
        claims = jwt.JWTClaimsRegistry(now=now, leeway=LEEWAY, **expected, exp=essential, sub=essential)
        try:
            decoded = jwt.decode(token, key, registry=JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False))
            claims.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise TokenError(getattr(error, "error", type(error).__name__)) from error
        return decoded.claims


def peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token, which are not verified.

    :raises TokenError: if it is no JWT.
    """
    if len(token) > LARGEST_TOKEN or not TOKEN.fullmatch(token):
        raise TokenError("it is no JWT")
    try:
        header, claims = (
            json.loads(urlsafe_b64decode(part.encode()), object_pairs_hook=unique) for part in token.split(".")[:2]
        )
    except (ValueError, RecursionError) as error:
        raise TokenError("it is malformed") from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenError("it is malformed")
    return header, claims


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without duplicate names: libraries differ in which of two they use."""
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def usable(given: list[Any]) -> dict[str, Key]:
    """The public keys for signatures, by their ids. Keys that cannot be used are left out."""
    found = {}
    for one in given:
        with suppress(JoseError, ValueError, TypeError, AttributeError, KeyError):
            # https://www.rfc-editor.org/rfc/rfc7518#section-3.3: 2048 bits or more
            strong = one["kty"] in ("EC", "OKP") or (one["kty"] == "RSA" and len(one["n"]) >= 342)
            if strong and one.get("use", "sig") == "sig" and isinstance(one["kid"], str):
                found[one["kid"]] = import_key(one)
    return found


class NoRedirects(HTTPRedirectHandler):
    """Follows no redirects."""

    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(url: str, deadline: float = 0, form: Strings = NONE, headers: Strings = NONE) -> dict[str, Any]:
    """Fetch a JSON object.

    :param deadline: by ``monotonic()``; the answer has to be complete by then.
    :param form: sent by POST.
    :raises AnswerError: if it is late or too large, or if the URL is not one of TLS.
    """
    deadline = deadline or monotonic() + TIMEOUT
    if not re.fullmatch(URL, str(url).partition("?")[0]):
        raise AnswerError("an address of it is not over TLS")
    data = urlencode(form).encode() if form else None
    request = Request(url, data, {"Accept": "application/json"} | dict(headers))  # noqa: S310 (checked above)
    try:
        with build_opener(NoRedirects).open(request, timeout=max(deadline - monotonic(), 0.01)) as answer:
            found = json.loads(read(answer, deadline))
    except HTTPError as error:
        with error:
            kind = RefusedError if error.code in (400, 401, 403) else AnswerError
            raise kind(f"it answered {error.code}") from error
    except (OSError, ValueError, RecursionError, HTTPException) as error:
        raise AnswerError(f"{type(error).__name__}: {error}"[:200]) from error
    if not isinstance(found, dict):
        raise AnswerError("its answer is no object")
    return found


def read(answer: HTTPResponse, deadline: float) -> bytes:
    """Read an answer to its end. A slow one would never time out by itself."""
    body = b""
    while piece := answer.read1(65536):
        body += piece
        if len(body) > LARGEST_ANSWER or monotonic() > deadline:
            raise ValueError("the answer is too large, or too slow")
    return body
