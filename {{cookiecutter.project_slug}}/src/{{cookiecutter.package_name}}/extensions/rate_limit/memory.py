"""Counts in the memory of this process."""

from threading import Lock

from cachetools import TLRUCache

from .. import ephemeral

#: The most clients that are remembered. Beyond that, the least recently seen are forgotten.
MOST = 100_000


class Memory:
    shared = False

    def __init__(self) -> None:
        self.lock = Lock()
        #: Counts, and when each ends.
        self.windows: TLRUCache[str, tuple[int, float]] = TLRUCache(
            MOST, ttu=lambda _, counted, __: counted[1], timer=lambda: ephemeral.now()
        )

    def count(self, key: str, window: int) -> tuple[int, float]:
        with self.lock:
            now = ephemeral.now()
            count, end = self.windows.get(key, (0, now + window))
            self.windows[key] = count + 1, end
        return count + 1, max(end - now, 0)
