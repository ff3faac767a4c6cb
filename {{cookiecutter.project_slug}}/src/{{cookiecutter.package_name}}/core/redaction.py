"""Redaction: no log line and no report of an error tells a secret. It is the last line of defence: log no secrets.

https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html#data-to-exclude
"""

import re
from collections.abc import Mapping, MutableSet
from typing import Any
from urllib.parse import unquote

from structlog.typing import EventDict, WrappedLogger

#: A field whose name ends like this has a secret for a value; ``tokens=512`` and ``next_page_token`` are no secrets.
NAMES = "password|passwd|passphrase|secret|(?<!page.)token|authorization|cookies?|credentials?|(?:api|private)[-_]?key"
FIELD = re.compile(f"(?:{NAMES})$", re.IGNORECASE)
VALUE = r"""("[^"]*"|'[^']*'|(?:(?:basic|bearer) )?[^\s"'&,;)]+)"""
#: In a text: the password of a URL; name=value, an item of a mapping, a header; a bearer token.
TEXTS = [
    re.compile(r"(://[^\s/:@\"']*:)[^\s/\"']+(?=@)"),
    re.compile(f"((?:{NAMES})[\"']?(?:=|: ?)(?:b(?=[\"']))?){VALUE}", re.IGNORECASE),
    re.compile(r"(\bbearer )[\w.~+/=-]{16,}", re.IGNORECASE),
]


class Redaction:
    """Replaces secrets: values of fields with such names, texts after such names, and the service's own secrets.

    :param config: the configuration, in which the service's own secrets are.
    :param living: the redactions of all applications in this process; this one is added. Each replaces the secrets of
        all applications, because the last application writes log lines of all of them.
    """

    def __init__(self, config: Mapping[str, Any], living: MutableSet["Redaction"]) -> None:
        found = []
        listed = [(name, item) for name, value in config.items() if isinstance(value, list) for item in value]
        for name, value in [*config.items(), *listed]:
            if isinstance(value, str):
                found += re.findall("://[^/:@]*:([^@]+)@", value)
                if name.endswith(("KEY", "KEY_FALLBACKS", "PASSWORD", "SECRET", "TOKEN")):
                    found.append(value)
                if name.endswith("_HEADERS"):  # Written name=value,name=value; of "Bearer x" the x.
                    found += [unquote(pair.partition("=")[2]).split(" ")[-1] for pair in value.split(",")]
        # A shorter one would be found in ordinary words.
        self.own = {re.escape(text) for secret in found for text in (secret, unquote(secret)) if len(text) >= 8}
        # Secrets that only others store, by a pattern. It is used in lower case, so it has no class such as \S.
        self.own |= {value for name, value in config.items() if name.endswith("_SECRET_PATTERN")}
        living.add(self)
        own = sorted({pattern for other in living for pattern in other.own}, key=len, reverse=True)
        self.secrets = re.compile("|".join(own) or "(?!)")
        # A search in lower-case text is several times as fast as one that ignores the case.
        self.suspicious = re.compile("|".join([NAMES, "bearer ", "@", *map(str.lower, own)]))
        for other in living:
            other.secrets, other.suspicious = self.secrets, self.suspicious

    def __call__(self, value: Any, name: str = "") -> Any:
        """Return a value without secrets, mappings and lists with all that is in them.

        :raises RecursionError: if the value is too deep, or a cycle.
        """
        if value is None or isinstance(value, bool | int | float):
            return value
        if FIELD.search(name):
            return "[redacted]"
        if isinstance(value, Mapping):
            return {key: self(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        text = self.secrets.sub("[redacted]", str(value))
        for pattern in TEXTS:
            text = pattern.sub(r"\1[redacted]", text)
        return text

    def process(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Redact an event, as a processor of structlog."""
        return self(event) if self.suspicious.search(str(event).lower()) else event
