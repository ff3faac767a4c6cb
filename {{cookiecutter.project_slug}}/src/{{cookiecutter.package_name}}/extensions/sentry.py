"""Sentry: errors that nobody expected, with the request that they ended, and nothing personal of it.

Without ``SENTRY_DSN`` nothing of it is imported. A process has one client: of several applications
with a DSN, the last one decides where errors go. https://docs.sentry.io/platforms/python/
"""

import re
from logging import getLogger
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, has_app_context
from structlog.contextvars import get_contextvars

from .version import installed_version

if TYPE_CHECKING:
    from sentry_sdk._types import DataCollectionUserOptions, SamplingContext
    from sentry_sdk.types import Event, Hint

    from ..core.settings import Env

#: Seconds that the last errors have to be sent when the process ends.
FLUSH_TIMEOUT = 2.0
#: What is collected beside the error: nothing. Variables of frames hold what requests brought.
#: https://docs.sentry.io/platforms/python/data-management/data-collected/
NOTHING: "DataCollectionUserOptions" = {
    "cookies": {"mode": "off"},
    "database_query_data": False,
    "gen_ai": {"inputs": False, "outputs": False},
    "graphql": {"document": False, "variables": False},
    "http_bodies": [],
    "http_headers": {"request": {"mode": "off"}},
    "queues": False,
    "stack_frame_variables": False,
    "url_query_params": {"mode": "off"},
    "user_info": False,
}


def config(env: "Env") -> dict[str, Any]:
    dsn = env.text("SENTRY_DSN", "")
    if dsn and not re.fullmatch(r"https?://\w+(:\w+)?@([^/\s@:[\]]+|\[[\da-f:]+\])(:\d{1,5})?(/\S*)?/\d+", dsn):
        env.refuse("SENTRY_DSN", "Not a DSN, such as https://key@sentry.example.com/1")
    return {
        "SENTRY_DSN": dsn,
        "SENTRY_ENVIRONMENT": env.text("SENTRY_ENVIRONMENT", "") or env.name,
        "SENTRY_TRACES_SAMPLE_RATE": env.number("SENTRY_TRACES_SAMPLE_RATE", 0.0, minimum=0, maximum=1),
    }


def init_app(app: Flask) -> None:
    if not app.config["SENTRY_DSN"]:
        return
    # Imported here, because these read the process environment, and take their time.
    import sentry_sdk
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration
    from sentry_sdk.integrations.flask import FlaskIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration

    rate, probes = app.config["SENTRY_TRACES_SAMPLE_RATE"], app.extensions["probes"]
    version = installed_version()

    def sample(context: "SamplingContext") -> float:
        if context.get("wsgi_environ", {}).get("PATH_INFO") in probes:
            return 0
        parent = context["parent_sampled"]
        return rate if parent is None else parent  # type: ignore[no-any-return]

    def before_send(event: "Event", hint: "Hint") -> "Event | None":
        if has_app_context() and "sentry" not in current_app.extensions:
            return None  # Of an application that has no DSN.
        return clean(app, event)

    sentry_sdk.init(
        app.config["SENTRY_DSN"],
        environment=app.config["SENTRY_ENVIRONMENT"],
        release=version and f"{__name__.partition('.')[0]}@{version}",
        traces_sampler=sample if rate else None,
        # The names of all others would be tried, which takes longer than all else at the start.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            FlaskIntegration(transaction_style="url"),
            ThreadingIntegration(),
            ExcepthookIntegration(),
            DedupeIntegration(),
        ],
        data_collection=NOTHING,
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=before_send,
        before_send_transaction=before_send,
    )
    app.extensions["sentry"] = sentry_sdk.get_client()
    # It would tell of each report that could not be sent, several times.
    getLogger("urllib3.connectionpool").addFilter(lambda record: "/envelope/" not in record.getMessage())
    # Worker processes of multiprocessing do not call what ``atexit`` knows.
    Finalize(None, app.extensions["sentry"].close, kwargs={"timeout": FLUSH_TIMEOUT}, exitpriority=1)


def clean(app: Flask, event: "Event") -> "Event":
    """Leave of the request only what it was called; name it as the log does; take out secrets."""
    request: Any = event.get("request", {})
    kept: Any = app.extensions["redaction"](event)
    kept.pop("user", None)
    if request:
        kept["request"] = {name: request[name] for name in ("method", "url") if name in request}
    kept["tags"] = dict(kept.get("tags") or {})
    kept["tags"] |= get_contextvars()
    return kept  # type: ignore[no-any-return]
