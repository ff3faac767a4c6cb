"""Entries in Redis: all processes share them, and compute an entry once."""

from collections.abc import Sequence
from typing import Any

from flask import Flask

from ..ephemeral.redis import Asking


def init_app(app: Flask) -> None:
    app.extensions["cache"].store = Shared(app.extensions["ephemeral"])


class Shared:
    def __init__(self, ask: Asking) -> None:
        self.ask = ask
        self.redis: Any = ask.redis

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return self.ask(self.redis.mget, keys)

    def write(self, key: str, value: bytes, seconds: float, touch: Sequence[str] = ()) -> None:
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.set(key, value, px=max(int(seconds * 1000), 1))
            for each in touch:
                pipe.pexpire(each, max(int(seconds * 1000), 1))
            self.ask(pipe.execute)

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        return bool(self.ask(self.redis.set, key, value, nx=True, px=int(seconds * 1000)))

    def remove(self, key: str) -> None:
        self.ask(self.redis.unlink, key)
