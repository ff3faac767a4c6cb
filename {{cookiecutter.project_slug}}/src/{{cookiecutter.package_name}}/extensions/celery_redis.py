"""Redis as the broker of jobs. https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html"""

import json
from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.amqp import Queue

BROKER = "redis://user:password@host:6379/0"
ADDRESS_OF_BROKER = (
    r"rediss?://(?:[^/?#@]*@)?(?:[^/?#@:\[\]]+|\[[\da-fA-F:.]+\])(?::\d+)?(?:/\d*)?(?:\?(?:ssl_\w+=[^&#]+&?)+)?"
)
#: Write the time of a scheduled job, and return the one that it had: nothing if that is as late, or if there was none.
ADVANCE = """
local last = redis.call("GET", KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then return nil end
redis.call("SET", KEYS[1], ARGV[1])
return last
"""


def queue(name: str) -> "Queue":
    from celery.app.amqp import Exchange, Queue

    return Queue(name, Exchange(name, "direct"), name)


def transport(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "socket_timeout": config["BROKER_TIMEOUT"],
        "socket_connect_timeout": config["BROKER_TIMEOUT"],
        # Seconds after which a job that was taken and not finished is given to another worker. Shorter than a job and
        # its time in the worker, jobs would run twice at the same time.
        "visibility_timeout": config["JOB_TIMEOUT"] * 2 + 30,
        # By default, it is looked for every 100 seconds.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Services share a Redis: without their names, one would give back what another is still at.
        **{f"unacked_{key}": f"{name}.unacked_{key}" for key in ("key", "index_key", "mutex_key")},
    }


def age(channel: Any, name: str) -> float:
    """Seconds since the message that is taken next was due."""
    message = channel.client.lindex(name, -1)
    return max(0.0, time() - json.loads(message)["headers"].get("due", time())) if message else 0


def prepare_delays(celery: "Celery") -> None:
    """Make nothing: a job that is not due waits in a worker."""


def send_once(celery: "Celery", name: str, due: int, send: Callable[[], object]) -> bool:
    """Send a job if its time is later than that which Redis has. The first time is noted, and nothing sent."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    key = f"{celery.conf.task_default_queue}.schedule.{name}"
    seconds = celery.conf.broker_connection_timeout
    retry = Retry(NoBackoff(), 0)
    with Redis.from_url(
        celery.conf.broker_url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=retry
    ) as client:
        last: Any = client.eval(ADVANCE, 1, key, str(due))
        if last is None:
            return False
        try:
            send()
        except BaseException:
            client.set(key, last)  # For the next attempt, of whoever makes it.
            raise
    return True
