"""A circuit breaker: a service that has failed several times in a row is left alone for a while.

It is one for each service that is called and each process: with four workers, each finds out by itself.
https://martinfowler.com/bliki/CircuitBreaker.html
"""

from threading import Lock
from time import monotonic

#: Failures in a row after which it opens, and the seconds until one call may try again.
FAILURES, PAUSE = 5, 5.0


class Breaker:
    def __init__(self) -> None:
        self.lock, self.failures, self.until = Lock(), 0, 0.0

    @property
    def open(self) -> bool:
        return self.failures >= FAILURES

    def admit(self, seconds: float) -> bool:
        """Whether a call may be made. While the breaker is open, that is one probe, and no other before it can end.

        :param seconds: what the call may take.
        """
        if not self.open:
            return True
        with self.lock:
            if self.open and monotonic() < self.until:
                return False
            self.until = monotonic() + max(PAUSE, seconds)
            return True

    def note(self, failed: bool) -> bool:
        """Count the end of a call, and return whether this opened the breaker."""
        if not failed and not self.failures:
            return False
        with self.lock:
            before = self.open
            self.failures = self.failures + 1 if failed else 0
            if failed:
                self.until = monotonic() + PAUSE
            return self.open and not before
