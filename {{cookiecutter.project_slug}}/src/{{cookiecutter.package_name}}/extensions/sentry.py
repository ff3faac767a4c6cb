"""Sentry: unexpected errors, with the request in which they occurred, without personal data.

Without ``SENTRY_DSN``, the SDK is not imported. A process has one client: of several applications
with a DSN, the last one decides where errors go. https://docs.sentry.io/platforms/python/
"""

import re
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, has_app_context, request_started
from structlog.contextvars import get_contextvars

from .version import installed_version

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

    from ..core.settings import Env

#: Fields that reports share with log lines.
TAGS = {"request_id", "trace_id", "span_id"}
#: Seconds for sending the last errors when the process ends.
FLUSH_TIMEOUT = 2.0
#: Collect nothing beside the error. Variables of frames hold data of requests.
#: https://docs.sentry.io/platforms/python/data-management/data-collected/
NOTHING: Any = {
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
    form = r"https?://\w+(:\w+)?@([^/\s@:[\]]+|\[[\da-f:]+\])(:(?P<port>\d{1,5}))?(/\S*)?/\d+"
    if dsn and not ((found := re.fullmatch(form, dsn)) and int(found["port"] or 0) < 65536):
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

    def clean(event: "Event", hint: "Hint") -> "Event | None":
        """Take out secrets; drop reports of probes and of applications without a DSN."""
        if has_app_context() and "sentry" not in current_app.extensions:
            return None
        if event.get("type") == "transaction" and event["transaction"] in app.extensions["probes"]:
            return None
        return app.extensions["redaction"](event)  # type: ignore[no-any-return]

    version = installed_version()
    sentry_sdk.init(
        app.config["SENTRY_DSN"],
        environment=app.config["SENTRY_ENVIRONMENT"],
        release=version and f"{__name__.partition('.')[0]}@{version}",
        traces_sample_rate=app.config["SENTRY_TRACES_SAMPLE_RATE"] or None,
        # Sentry would try to import all other integrations, which takes longer than the rest of the start.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            FlaskIntegration(transaction_style="url"),
            ThreadingIntegration(),
            ExcepthookIntegration(),
            DedupeIntegration(),
        ],
        data_collection=NOTHING,
        auto_session_tracking=False,
        before_send=clean,
        before_send_transaction=clean,
    )
    app.extensions["sentry"] = client = sentry_sdk.get_client()

    def tag(sender: Flask, **_: object) -> None:
        sentry_sdk.set_tags({name: value for name, value in get_contextvars().items() if name in TAGS})

    request_started.connect(tag, app, weak=False)
    # Worker processes of multiprocessing do not call functions of ``atexit``.
    Finalize(None, client.close, kwargs={"timeout": FLUSH_TIMEOUT}, exitpriority=1)
