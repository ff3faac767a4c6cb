"""Counts in Redis, for all processes together."""

from flask import Flask

from ..ephemeral.redis import Asking

#: In one step, so that a process that is killed leaves no count without an end.
COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
"""


def init_app(app: Flask) -> None:
    app.extensions["rate_limit"].store = Shared(app.extensions["ephemeral"])


class Shared:
    shared = True

    def __init__(self, ask: Asking) -> None:
        self.ask = ask
        self.script = ask.redis.register_script(COUNT)

    def count(self, key: str, window: int) -> tuple[int, float]:
        count, left = self.ask(self.script, keys=[key], args=[window * 1000])
        return count, left / 1000
