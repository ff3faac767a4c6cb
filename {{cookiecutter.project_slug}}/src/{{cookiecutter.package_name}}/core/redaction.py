"""Redaction: what leaves the service as a log line or a report of an error tells no secret.

Of fields, the name decides. In texts, such as those of exceptions, it is what follows such a name or
stands before the host of a URL. The service's own secrets are found wherever they are. All of that is
the last line of defence: do not log secrets.
https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html#data-to-exclude
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

REDACTED = "[redacted]"
WORDS = "pass(?:word|wd|phrase)|secret|token|authorization|cookie|credential|api[-_]?key|private[-_]?key"
NAMED = f"(?:{WORDS})" + "[\\w-]{0,40}"
#: A name like this has a secret for a value.
NAME = re.compile(WORDS, re.IGNORECASE)
#: In texts: the password of a URL, a header or an item of a mapping, name=value, a bearer token.
TEXTS = [
    re.compile(r"(://[^\s/:@\"']*:)[^\s/\"']+(?=@)"),
    re.compile(r"((?:authorization|cookie): ?)[^\r\n\"']+", re.IGNORECASE),
    re.compile(rf"({NAMED}(?P<quote>[\"']): ?b?(?P<open>[\"'])).*?(?=(?P=open))", re.IGNORECASE),
    re.compile(rf"({NAMED}=)(?:\"[^\"]*\"|'[^']*'|[^\s\"'&,;)]+)", re.IGNORECASE),
    re.compile(r"(\bbearer )[\w.~+/=-]{16,}", re.IGNORECASE),
]
#: Settings that are secrets, URLs with passwords, and headers, written name=value,name=value.
SETTING = re.compile("(KEY|PASSWORD|SECRET|TOKEN)$")
PASSWORD = re.compile(r"://[^/:@]*:([^@]+)@")
#: Shorter secrets would be found in ordinary words.
SHORTEST = 8


class Redaction:
    """Takes out secrets.

    :param config: the configuration, in which the service's own secrets are.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        found = {value for name, value in config.items() if SETTING.search(name) and isinstance(value, str)}
        for value in config.values():
            if isinstance(value, str) and (match := PASSWORD.search(value)):
                found |= {match[1], unquote(match[1])}
        for name, value in config.items():
            if name.endswith("_HEADERS") and isinstance(value, str):
                for _, _, header in (pair.partition("=") for pair in value.split(",")):
                    # Of "Bearer x" the x.
                    found |= {text.strip().rpartition(" ")[2] for text in (header, unquote(header))}
        own = sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True)
        self.own = re.compile("|".join(map(re.escape, own)) or "(?!)")
        # Searched for in lower-case lines, which is several times as fast as to ignore the case.
        escaped = [re.escape(orjson.dumps(value).decode()[1:-1].lower()) for value in own]
        self.suspicious = re.compile("|".join([WORDS, "bearer ", "@", *escaped]).encode())

    def __call__(self, value: Any, name: str = "") -> Any:
        """Return a value without secrets, mappings and lists with all that is in them.

        :raises RecursionError: if it is too deep, or a cycle.
        """
        if NAME.search(name) and value and value is not True:
            return REDACTED
        if isinstance(value, Mapping):
            return {key: self(item, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, tuple):
            return tuple(map(self, value))
        if isinstance(value, str):
            return self.text(value)
        return value

    def text(self, text: str) -> str:
        text = self.own.sub(REDACTED, text)
        for pattern in TEXTS:
            text = pattern.sub(rf"\1{REDACTED}", text)
        return text
