"""What is kept for a while, and may be lost: what the options that keep such things have in common."""

from time import time


class AwayError(Exception):
    """The store did not answer in time, or refused: go on without it."""


def now() -> float:
    """Seconds since the epoch. Tests move this clock, by the fixture ``clock``."""
    return time()
