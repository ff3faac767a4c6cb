"""Mails of requests are sent by a job: a worker tries for about an hour while the mail server is away.

The job is sent when the view has succeeded, and the answer is 503 if the broker does not take it.
"""

from email import message_from_string
from email.message import EmailMessage
from typing import Any

import structlog
from flask import Flask, Response
from werkzeug.exceptions import ServiceUnavailable

from ....core.errors import problem
from ...celery import job, job_failed
from .. import POLICY, MailError, mail_ended, mails


@job("email.deliver", starts=20)
def deliver(text: str) -> None:
    """Send a mail. What the server refuses for good is not sent again."""
    message = message_from_string(text, policy=POLICY)
    try:
        mails().deliver(message)
    except MailError as error:
        if not error.refused:
            raise
        structlog.get_logger().error("mail_failed", message_id=message["Message-ID"], reason=error.reason)
        mail_ended.send(mails().app, result="failed")


def init_app(app: Flask) -> None:
    app.extensions["email"].release = publish

    def fail(sender: Flask, job: str, **_: Any) -> None:
        if job == deliver.name:
            mail_ended.send(sender, result="failed")

    job_failed.connect(fail, app, weak=False)


def add(message: EmailMessage) -> None:
    """Have a worker send a mail."""
    deliver.send(message.as_string(policy=POLICY.clone(linesep="\n")))


def publish(response: Response) -> Any:
    """Have a worker send the mails of a request that has succeeded."""
    try:
        for message in mails().waiting(response):
            add(message)
    except ServiceUnavailable as error:
        return problem(error)
    return response
