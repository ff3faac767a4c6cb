"""Mails, for Prometheus: how many were sent, failed, or were dropped."""

from flask import Flask

from ..metrics import Counter
from . import RESULTS, mail_ended


def init_app(app: Flask) -> None:
    mails = Counter("mails", "Mails, by what became of them.", ["result"], registry=app.extensions["metrics"])
    for result in RESULTS:  # An alert sees the first failure if there was a zero before.
        mails.labels(result)
    mail_ended.connect(lambda sender, result: mails.labels(result).inc(), app, weak=False)
