"""Reading settings: each with its type, bounds and default, and all problems told at once.

By hand, because libraries that do it take longer to import than everything else that is always on.
"""

import os
import re
import secrets
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping
from types import ModuleType
from typing import Any, TypeVar

import click

#: Placeholders, and the key that Flask's documentation shows.
KNOWN = re.compile("change.?me|default|example|insecure|password|placeholder|secret|192b9bdd22ab9ed4", re.IGNORECASE)
FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

Value = TypeVar("Value")


class ConfigError(click.ClickException):
    """Settings are missing or wrong. Flask's command line prints the message and no traceback."""


def load(modules: Iterable[ModuleType], overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the settings of modules: from ``overrides``, else the environment, else ``.env``, else their defaults.

    :param modules: ``config(env)`` of each, if it has one, returns its settings.
    :param overrides: names that are no settings of this service, such as Flask's own, are kept as they are.
    :raises ConfigError: naming every setting that is missing or wrong.
    """
    overrides = dict(overrides or {})
    env = Env(ChainMap(overrides, dict(os.environ)))
    config = {"APP_ENV": env.name, "TESTING": env.name == "testing", "SECRET_KEY": env.secret("SECRET_KEY")}
    for module in modules:
        if callable(read := getattr(module, "config", None)):
            config |= read(env)
    if env.production and (overrides.get("DEBUG") or FLAGS.get(str(env.values.get("FLASK_DEBUG", "no")).lower(), True)):
        env.refuse("FLASK_DEBUG", "Must be unset in production: it shows the source code to everybody.")
    if lines := [f"  {name}: {message}" for name, message in sorted(env.refused.items())]:
        lines += [] if "APP_ENV" in env.values else ["To develop, set APP_ENV=development: unset, it is production."]
        raise ConfigError("\n".join(["These settings are missing or wrong:", *lines]))
    return config | {name: value for name, value in overrides.items() if name not in env.read}


class Env:
    """Reads the settings of one application. A wrong setting is reported at the end, and reads as its default."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        #: The names of all settings that were read.
        self.read: set[str] = set()
        self.refused: dict[str, str] = {}
        self.name = self.text("APP_ENV", "production", choices=["development", "testing", "production"])
        #: Whether defaults that are only good for development are refused.
        self.production = self.name not in ("development", "testing")
        if self.name == "development":
            # Imported here, because production does not need it.
            from dotenv import dotenv_values

            try:
                self.values = ChainMap(dict(values), dotenv_values(".env"))
            except (OSError, UnicodeError):
                self.refuse(".env", "Must be a file that can be read, in UTF-8.")

    def text(self, name: str, default: str, choices: Collection[str] = (), pattern: str = "", hint: str = "") -> str:
        """Read text: one of ``choices``, or what the whole ``pattern`` matches.

        :param hint: the message for a text that does not match.
        """

        def convert(given: object) -> str:
            # Files and platforms leave a newline at the end. Bytes that are not UTF-8 are surrogates here.
            text = (",".join(given) if isinstance(given, list) else str(given)).strip().encode().decode()
            text = text.lower() if choices else text
            if not re.fullmatch("|".join(choices) or pattern or ".*", text, re.DOTALL):
                raise ValueError
            return text

        otherwise = f"Must be one of: {', '.join(choices)}." if choices else "Must be text in UTF-8."
        return self._read(name, default, convert, hint or otherwise)

    def integer(self, name: str, default: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
        return int(self.number(name, default, minimum, maximum, kind=int))

    def number(self, name: str, default: float, minimum: float = 0, maximum: float = 1e9, kind: Any = float) -> float:
        def convert(given: Any) -> float:
            value: float = kind(str(given))
            if not minimum <= value <= maximum:  # Written the other way round, "nan" would pass.
                raise ValueError
            return value

        what = "a whole number" if kind is int else "a number"
        return self._read(name, default, convert, f"Must be {what} from {minimum} to {maximum}.")

    def flag(self, name: str, default: bool) -> bool:
        return self._read(name, default, lambda given: FLAGS[str(given).strip().lower()], "Must be true or false.")

    def secret(self, name: str) -> str:
        """Read a secret. Production refuses an unset or weak one; development makes up an unset one at each start."""
        value = self.text(name, "")
        # A shorter key weakens HMAC-SHA256: https://datatracker.ietf.org/doc/html/rfc7518#section-3.2
        if self.production and (len(value.encode()) < 32 or len(set(value)) < 10 or KNOWN.search(value)):
            self.refuse(name, "Set it to 32 random bytes or more, as this makes: openssl rand -hex 32")
        return value or secrets.token_urlsafe(32)

    def refuse(self, name: str, message: str) -> None:
        """Refuse a setting that has the right type and still cannot be used."""
        self.refused[name] = " ".join(message.split())  # Libraries say some things in several lines.

    def _read(self, name: str, default: Value, convert: Callable[[Any], Value], expected: str) -> Value:
        """Read a setting; one that is None is unset."""
        self.read.add(name)
        if (given := self.values.get(name)) is not None:
            try:
                # Editors of Windows write a byte order mark before the text of a file.
                return convert(given.removeprefix("\ufeff") if isinstance(given, str) else given)
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
                self.refuse(name, f"{expected} For example: {name}={default}" if default != "" else expected)
        return default
