"""Entries in the memory of this process, up to a size: those that were not used for longest make room."""

from collections.abc import Sequence
from contextlib import suppress
from threading import Lock

from cachetools import TLRUCache

from .. import ephemeral

#: What an entry takes besides its bytes, roughly.
OVERHEAD = 400


class Memory:
    def __init__(self, size: int) -> None:
        self.lock = Lock()
        self.entries: TLRUCache[str, tuple[bytes, float]] = TLRUCache(
            size,
            ttu=lambda _, entry, moment: moment + entry[1],
            timer=lambda: ephemeral.now(),
            getsizeof=lambda entry: len(entry[0]) + OVERHEAD,
        )

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        with self.lock:
            return [entry[0] if (entry := self.entries.get(key)) else None for key in keys]

    def write(self, key: str, value: bytes, seconds: float, touch: Sequence[str] = ()) -> None:
        with self.lock, suppress(ValueError):  # The value is larger than the whole cache.
            for each in touch:
                if entry := self.entries.get(each):
                    self.entries[each] = (entry[0], seconds)
            self.entries[key] = (value, seconds)

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        with self.lock:
            if key in self.entries:
                return False
            self.entries[key] = (value, seconds)
            return True

    def remove(self, key: str) -> None:
        with self.lock:
            self.entries.pop(key, None)
