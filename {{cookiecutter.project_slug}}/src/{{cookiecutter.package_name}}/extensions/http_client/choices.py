"""Enumerations that may grow: a newer service may answer values that its client does not know."""

from enum import IntEnum, StrEnum
from typing import Self


class Choice(StrEnum):
    """A text of an enumeration. An unknown one is kept, and is equal to its text."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        made = str.__new__(cls, value)
        made._name_, made._value_ = "", value
        return made


class Number(IntEnum):
    """A number of an enumeration. An unknown one is kept, and is equal to its number."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        made = int.__new__(cls, value)
        made._name_, made._value_ = "", value
        return made
