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
from flask.helpers import get_debug_flag

#: Bytes of a secret; a shorter key weakens the HMAC-SHA256 that it is used for.
#: https://datatracker.ietf.org/doc/html/rfc7518#section-3.2
SECRET_LENGTH = 32
#: Placeholders, and the key that Flask's documentation shows.
KNOWN = re.compile("change.?me|default|example|insecure|password|placeholder|secret|192b9bdd22ab9ed4", re.IGNORECASE)
FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

Value = TypeVar("Value")


class ConfigError(click.ClickException):
    """Settings are missing or wrong. Flask's command line prints the message and no traceback."""


def load(modules: Iterable[ModuleType], overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read and validate the settings of modules: ``create_app(config)``, the environment, ``.env``, defaults.

    :param modules: those that have ``config(env)`` are asked for their settings.
    :param overrides: values that override those of the environment. Names that are no settings of this
        service, such as Flask's own, are taken as they are.
    :raises ConfigError: naming every setting that is missing or wrong.
    """
    overrides = dict(overrides or {})
    env = Env(ChainMap(overrides, dict(os.environ)))
    config = {
        "APP_ENV": env.name,
        "TESTING": env.name == "testing",
        "SECRET_KEY": env.secret("SECRET_KEY"),
    }
    for module in modules:
        if callable(read := getattr(module, "config", None)):
            config |= read(env)
    if env.production and (overrides.get("DEBUG") or get_debug_flag()):
        env.refuse("FLASK_DEBUG", "Must be unset in production: it shows the source code to everybody.")
    env.check()
    return config | {name: value for name, value in overrides.items() if name not in env.read}


class Env:
    """The settings of one application. What is wrong reads as its default, and ``check`` refuses it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        #: What ``.env`` says, in development.
        self.file: Mapping[str, str | None] = {}
        #: The names of all settings that were read.
        self.read: set[str] = set()
        self.refused: dict[str, str] = {}
        self.name = self.text("APP_ENV", "production", choices=["development", "testing", "production"])
        if self.name == "development":
            # Imported here, because production does not need it.
            from dotenv import dotenv_values

            self.file = dotenv_values(".env")

    @property
    def production(self) -> bool:
        """Whether defaults that are only good for development are refused."""
        return self.name not in ("development", "testing")

    def text(self, name: str, default: str, choices: Collection[str] = ()) -> str:
        def convert(given: object) -> str:
            text = str(given)
            text.encode()  # What is not UTF-8 in the process environment is not Unicode here.
            if choices and given not in choices:
                raise ValueError
            return text

        expected = f"Must be one of: {', '.join(choices)}." if choices else "Must be text in UTF-8."
        return self._read(name, default, convert, expected)

    def integer(self, name: str, default: int, minimum: int = 0, maximum: int | None = None) -> int:
        return self._read(name, default, *_within(int, "a whole number", minimum, maximum))

    def number(self, name: str, default: float, minimum: float = 0, maximum: float | None = None) -> float:
        return self._read(name, default, *_within(float, "a number", minimum, maximum))

    def flag(self, name: str, default: bool) -> bool:
        return self._read(name, default, lambda given: FLAGS[str(given).lower()], "Must be true or false.")

    def names(self, name: str, default: list[str] | None = None) -> list[str] | None:
        """Read names that are separated by commas."""

        def convert(given: Any) -> list[str]:
            parts = given.split(",") if isinstance(given, str) else given
            return [part.strip() for part in parts if part.strip()]

        return self._read(name, default, convert, "Must be names, separated by commas.")

    def secret(self, name: str) -> str:
        """Read a secret; where production does not ask for one, an unset one is made anew at every start."""
        value = self.text(name, "").strip()
        if self.production and (len(value.encode()) < SECRET_LENGTH or len(set(value)) < 10 or KNOWN.search(value)):
            self.refuse(
                name, f"Set it to {SECRET_LENGTH} random bytes or more, such as the output of: openssl rand -hex 32"
            )
        return value or secrets.token_urlsafe(SECRET_LENGTH)

    def refuse(self, name: str, message: str) -> None:
        """Report a setting that is well-formed, and still cannot stay as it is."""
        self.refused[name] = message

    def check(self) -> None:
        """Raise if anything that was read cannot stay as it is.

        :raises ConfigError: naming every setting that is missing or wrong.
        """
        if self.refused:
            lines = [f"  {name}: {message}" for name, message in sorted(self.refused.items())]
            if "APP_ENV" not in self.values:
                lines.append("APP_ENV is not set, so this is production; to develop, set APP_ENV=development.")
            raise ConfigError("\n".join(["These settings are missing or wrong:", *lines]))

    def _read(self, name: str, default: Value, convert: Callable[[Any], Value], expected: str) -> Value:
        """Read a setting; one that is None is unset."""
        self.read.add(name)
        given = self.values.get(name, self.file.get(name))
        if given is None:
            return default
        try:
            return convert(given)
        except (KeyError, OverflowError, TypeError, ValueError):
            example = ",".join(default) if isinstance(default, list) else default
            self.refuse(name, f"{expected} For example: {name}={example}" if default is not None else expected)
            return default


def _within(
    kind: type[int] | type[float], what: str, minimum: float, maximum: float | None
) -> tuple[Callable[[Any], Any], str]:
    """How to convert to a number between two others, and what that is in words."""

    def convert(given: Any) -> int | float:
        value = kind(given)
        # Not the other way round, or "nan" would pass.
        if not minimum <= value <= (value if maximum is None else maximum):
            raise ValueError
        return value

    bounds = f"{minimum} or more" if maximum is None else f"from {minimum} to {maximum}"
    return convert, f"Must be {what}, {bounds}."
