"""What options have in common that keep data for a while, which may be lost."""

from time import time


class AwayError(Exception):
    """The store did not answer in time, or refused. Go on without it."""


def now() -> float:
    """Seconds since the epoch. Tests move this clock, by the fixture ``clock``."""
    return time()
