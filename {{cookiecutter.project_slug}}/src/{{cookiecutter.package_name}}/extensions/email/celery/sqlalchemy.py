"""Mails belong to the transaction of the view: ``send``, then ``db.session.commit()``. Without it, there is no mail.

https://microservices.io/patterns/data/transactional-outbox.html
"""

from flask import Flask

from . import add


def init_app(app: Flask) -> None:
    app.extensions["email"].hand_over = add
