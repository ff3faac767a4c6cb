"""Redis or Valkey, by redis-py: one client for all threads of a process.

``client().set("greeting", "hello", ex=60)``. In development and tests, without ``REDIS_URL``, an imitation in memory
answers, of which each application has its own. https://redis.readthedocs.io/
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import structlog
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from ...core.settings import ConfigError
from ..nosql import Observer, observers, unavailable

if TYPE_CHECKING:
    from redis import Redis, RedisError

    from ...core.settings import Env

#: The address of the imitation.
EMBEDDED = "memory://"
#: Options in a URL would override the time-outs that are set here, so only ``db`` and those of TLS are allowed.
ADDRESS = (
    r"memory://|"
    r"(?:rediss?://(?:[^/?#@]*@)?(?:[^/?#@:\[\]]+|\[[\da-fA-F:.]+\])(?::\d+)?(?:/\d*)?|unix://(?:[^/?#@]*@)?/[^?#@]+)"
    r"(?:\?(?:(?:ssl_\w+|db)=[^&#]+&?)+)?"
)
EXPECTED = (
    "Set it to the address of Redis, such as redis://user:password@host:6379/0. Write %40 for an @ in the password. "
    "Options are those of TLS: rediss://host:6379/0?ssl_ca_certs=/path"
)
#: The first words of temporary errors for which redis-py has no class.
REFUSALS = ("BUSY ", "MISCONF ", "NOREPLICAS ")


def config(env: "Env") -> dict[str, Any]:
    url = env.text("REDIS_URL", "" if env.production else EMBEDDED, pattern=ADDRESS, hint=EXPECTED)
    if not url:
        env.refuse("REDIS_URL", EXPECTED)
    elif url != EMBEDDED and (wrong := _problem(url)):
        env.refuse("REDIS_URL", wrong)
    return {
        "REDIS_URL": url,
        # Seconds of a connection, and of an answer.
        "REDIS_TIMEOUT": env.number("REDIS_TIMEOUT", 1.0, minimum=0.05, maximum=60),
    }


def init_app(app: Flask) -> None:
    embedded = app.config["REDIS_URL"] == EMBEDDED
    if embedded and app.config["APP_ENV"] == "production":
        structlog.get_logger().warning("embedded_redis", expected="redis://user:password@host:6379/0")
    app.extensions["redis"] = redis = _imitation() if embedded else _client(app)
    if begin := observers(app):
        _observe(redis, begin)

    from redis import RedisError

    app.register_error_handler(RedisError, _answer)


def client() -> "Redis":
    """The client of this application: text in, text out."""
    return cast("Redis", current_app.extensions["redis"])


def ready() -> None:
    """Raise while Redis is away, refuses its address, cannot be written, or is of a wrong kind."""
    from redis.exceptions import AuthenticationError, ResponseError

    redis: Any = client()
    try:
        answer = redis.execute_command("HELLO", 2)
    except (AuthenticationError, ResponseError) as error:
        refused = "Redis refuses the user, password or number of REDIS_URL, or is older than 6.2: see the log."
        raise ServiceUnavailable(refused) from error
    server = dict(zip(answer[::2], answer[1::2], strict=True))
    if server["mode"] != "standalone":
        raise ServiceUnavailable(f"REDIS_URL is a {server['mode']}: set it to the address of a single primary.")
    if server["role"] != "master":
        raise ServiceUnavailable("REDIS_URL is a replica, which cannot be written: set it to the primary.")
    if server["server"] != "fakeredis" and [int(part) for part in server["version"].split(".")[:2]] < [6, 2]:
        raise ServiceUnavailable(f"Redis is {server['version']}: this service needs 6.2 or newer.")


def _problem(url: str) -> str:
    """What is wrong with a URL, by redis-py. This makes a connection, and does not open it."""
    from redis import ConnectionPool, RedisError

    try:
        ConnectionPool.from_url(url).make_connection()
    except (RedisError, TypeError, ValueError) as error:
        return f"redis-py does not take it: {error}"
    return ""


def _client(app: Flask) -> "Redis":
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        app.config["REDIS_URL"],
        decode_responses=True,
        socket_timeout=app.config["REDIS_TIMEOUT"],
        socket_connect_timeout=app.config["REDIS_TIMEOUT"],
        # By default, ten retries take several seconds. A connection that was closed while idle is replaced anyway.
        retry=Retry(NoBackoff(), 0),
        # A connection for every thread that answers requests, and some for readiness checks.
        max_connections=app.config["WEB_THREADS"] + 2,
        # With version 3, servers may announce maintenance, during which redis-py waits for ten seconds.
        protocol=2,
    )


def _imitation() -> "Redis":
    try:
        from fakeredis import FakeRedis, FakeServer
    except ImportError as error:
        raise ConfigError(f"REDIS_URL: {EMBEDDED} needs fakeredis, which is for development ({error}).") from None
    # By default, all applications of the process would share one server.
    return FakeRedis(server=FakeServer(), decode_responses=True, protocol=2)


def _answer(error: "RedisError") -> ResponseReturnValue:
    """Answer 503 while Redis is away, slow, full or read-only; a wrong command is a bug, and is answered 500."""
    from redis import exceptions

    # Errors of pipelines quote the command with its values, which are often personal.
    error.args = (str(error).rpartition("caused error: ")[2],)
    away = (
        exceptions.ConnectionError,
        exceptions.TimeoutError,
        exceptions.MasterDownError,
        exceptions.OutOfMemoryError,
        exceptions.ReadOnlyError,
    )
    if not isinstance(error, away) and not str(error).startswith(REFUSALS):
        raise error
    if isinstance(error, exceptions.ReadOnlyError):
        # These connections lead to a former primary: its host name may by now be that of another server.
        client().connection_pool.disconnect(inuse_connections=False)
    return unavailable("redis", error)


def _observe(client: "Redis", begin: list[Observer]) -> None:
    """Tell observers of each command; a transaction or a pipeline is one, ``MULTI`` or ``PIPELINE``."""

    def observe(target: Any, method: str, name: Callable[..., str]) -> None:
        call = getattr(target, method)

        @wraps(call)
        def observed(*args: Any, **kwargs: Any) -> Any:
            ends = [observer("redis", name(*args)) for observer in begin]
            failure: BaseException | None = None
            try:
                return call(*args, **kwargs)
            except BaseException as error:
                failure = error
                raise
            finally:
                for end in ends:
                    end(failure)

        setattr(target, method, observed)

    def first(command: object, *_: object) -> str:
        return str(command).upper()

    make: Callable[..., Any] = client.pipeline

    @wraps(make)
    def pipeline(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        observe(made, "execute", lambda *_: "MULTI" if made.transaction or made.explicit_transaction else "PIPELINE")
        observe(made, "immediate_execute_command", first)  # WATCH, and what is read after it
        return made

    observe(client, "execute_command", first)
    client.pipeline = pipeline  # type: ignore[method-assign]
