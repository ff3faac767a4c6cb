"""Mails: text and HTML from templates, sent by SMTP.

``send("ada@example.com", "Your receipt", "orders/receipt", order=order)`` renders ``orders/receipt.txt``, and
``orders/receipt.html`` if there is one. A request sends its mails when it has succeeded, in a thread, so that nobody
waits for a mail server; a command and a job send at once. In development, ``/dev/mailbox`` shows what was sent.

There is no ``ready()``: a mail server that is away is no reason to answer no requests.
https://docs.python.org/3/library/email.message.html
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from blinker import Namespace
from flask import Flask, Response, after_this_request, current_app, has_request_context, render_template, request
from jinja2 import TemplateNotFound
from structlog.contextvars import get_contextvars
from werkzeug.wsgi import ClosingIterator

from .outgoing import Outgoing

if TYPE_CHECKING:
    from ...core.settings import Env

#: ASCII alone, which every server takes, and a job carries as text.
POLICY = SMTP.clone(cte_type="7bit")
#: What browsers accept, https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address;
#: but no encoded word, which a header would decode to another address. https://www.rfc-editor.org/rfc/rfc2047
ADDRESS = r"(?!.*=\?)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*"
#: Python cannot write an address with a dot at either end of its local part, or with two dots in a row.
SENDER = rf'(?!\.|.*(<\.|\.\.)[^<>]*@|.*\.@)({ADDRESS}|[^<>@,;:"\x00-\x1f]*<{ADDRESS}>)'
#: A line break in a header would let whoever wrote the text add headers.
BREAK = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

#: Sent with the application as the sender and ``result``, what became of a mail: one of RESULTS.
mail_ended = Namespace().signal("mail_ended")
RESULTS = ["sent", "failed", "dropped"]


class MailError(Exception):
    """A mail was not sent. The message quotes neither the address nor the server's answers, which contain addresses.

    ``refused`` says that the server will refuse the mail the next time, too.
    """

    def __init__(self, message: EmailMessage, reason: str, refused: bool = False) -> None:
        super().__init__(f"{message['Message-ID']} was not sent: {reason}")
        self.reason, self.refused = reason, refused


def config(env: "Env") -> dict[str, Any]:
    server = "Set it to the name of the server that sends mails, such as smtp.example.com"
    host = env.text("MAIL_HOST", "", pattern=r"[^\s/@:]*|[\da-fA-F:.]+", hint=server)
    example = "Must be such as orders@example.com, or Orders <orders@example.com>"
    sender = env.text("MAIL_FROM", "" if env.production else "service@localhost", pattern=SENDER, hint=example)
    user, password = env.text("MAIL_USER", ""), env.text("MAIL_PASSWORD", "")
    encryption = env.text("MAIL_TLS", "starttls", choices=["starttls", "tls", "none"])
    if env.production and not host:
        env.refuse("MAIL_HOST", server)
    if not sender:
        env.refuse("MAIL_FROM", example)
    if bool(user) != bool(password):
        env.refuse("MAIL_USER" if user else "MAIL_PASSWORD", "Set both MAIL_USER and MAIL_PASSWORD, or neither.")
    elif password and encryption == "none":
        env.refuse("MAIL_TLS", "Must be starttls or tls: otherwise MAIL_PASSWORD would be sent for everybody to read.")
    return {
        "MAIL_HOST": host,
        "MAIL_PORT": env.integer("MAIL_PORT", 587, minimum=1, maximum=65535),
        "MAIL_TLS": encryption,
        "MAIL_USER": user,
        "MAIL_PASSWORD": password,
        "MAIL_FROM": sender,
        # Seconds of a connection, and of each answer.
        "MAIL_TIMEOUT": env.number("MAIL_TIMEOUT", 10.0, minimum=0.1, maximum=600),
    }


def init_app(app: Flask) -> None:
    app.extensions["email"] = mails = Mails(app)
    if app.config["APP_ENV"] == "development" and not app.config["MAIL_HOST"]:
        from . import mailbox  # Here, because nobody else needs it.

        mails.transport = mailbox.keep
        app.register_blueprint(mailbox.bp)
    elif app.testing and not app.config["MAIL_HOST"]:
        mails.transport = mails.outbox.append
        mails.put = mails.outgoing.send  # Now, so that the test sees it.
    handle = app.handle_user_exception

    def forget(*args: Any) -> Any:
        """Send no mail of a view that raised, even if a handler answers: what the mail says was not committed."""
        request.environ.pop(PENDING, None)
        return handle(*args)

    app.handle_user_exception = forget  # type: ignore[assignment, method-assign]


#: The mails of a request that has not ended, in its environment.
PENDING = "service.mails"


def send(to: str, subject: str, template: str, **context: Any) -> None:
    """Send a mail, with the text of ``template``.txt, and the HTML of ``template``.html if there is one.

    :raises ValueError: for an invalid address, and for a line break in the subject.
    :raises MailError: outside of requests, if the server does not accept it.
    """
    message, found = compose(to, subject, template, context), mails()
    if has_request_context():
        found.hand_over(message)
        return
    try:
        found.deliver(message)
    except MailError:
        found.report("failed")
        raise


def compose(to: str, subject: str, template: str, context: dict[str, Any]) -> EmailMessage:
    """Write a mail."""
    if not re.fullmatch(ADDRESS, to):
        raise ValueError("A mail goes to one address, such as ada@example.com, without a name.")
    if BREAK.search(subject):
        raise ValueError("The subject of a mail has a line break or another control character.")
    name, _, address = current_app.config["MAIL_FROM"].rpartition("<")
    sender = Address(name.strip(), addr_spec=address.rstrip(">"))
    message = EmailMessage(policy=POLICY)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"], message["Message-ID"] = datetime.now(UTC), make_msgid(domain=sender.domain)
    # Stops out-of-office replies. https://www.rfc-editor.org/rfc/rfc3834#section-5
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(render_template(f"{template}.txt", **context))
    try:
        html = render_template(f"{template}.html", **context)
    except TemplateNotFound as error:
        if error.name != f"{template}.html":  # It includes another one.
            raise
    else:
        message.add_alternative(html, subtype="html")
    return message


def mails() -> "Mails":
    """The mails of this application."""
    return cast("Mails", current_app.extensions["email"])


class Mails:
    """How one application sends mails. Jobs change it while the application is made."""

    def __init__(self, app: Flask) -> None:
        from . import smtp

        self.app = app
        #: How a mail leaves the process. It raises OSError on failure.
        self.transport: Callable[[EmailMessage], object] = partial(smtp.send, app.config)
        #: What was sent in tests.
        self.outbox: list[EmailMessage] = []
        self.outgoing = Outgoing(self.deliver, self.report, app.config["STOP_TIMEOUT"] / 2)
        #: How a mail is sent in the background, with the fields of its log lines.
        self.put: Callable[[EmailMessage, dict[str, Any]], None] = self.outgoing.put
        #: What becomes of a mail in a request.
        self.hand_over: Callable[[EmailMessage], object] = self.wait
        #: What becomes of the mails of a request when it has succeeded.
        self.release: Callable[[Response], Response] = self.send_after

    def deliver(self, message: EmailMessage) -> None:
        """Send a mail, here and now."""
        try:
            self.transport(message)
        except (OSError, UnicodeError) as error:  # UnicodeError: the name of the server is too long.
            from . import smtp

            raise MailError(message, *smtp.explain(error)) from None
        self.report("sent")

    def report(self, result: str) -> None:
        mail_ended.send(self.app, result=result)

    def wait(self, message: EmailMessage) -> None:
        """Keep a mail until the request has succeeded."""
        if PENDING not in request.environ:
            request.environ[PENDING] = []
            after_this_request(lambda response: self.release(response))
        request.environ[PENDING].append(message)

    def waiting(self, response: Response) -> Iterator[EmailMessage]:
        """Take the mails of the request; none if its answer is an error."""
        messages = request.environ.pop(PENDING, [])
        yield from messages if response.status_code < 500 else []

    def send_after(self, response: Response) -> Response:
        """Send the mails of a request when its response is complete, after all that ends the request."""
        for message in self.waiting(response):
            put = partial(self.put, message, get_contextvars())
            if response.direct_passthrough:  # A file is sent without closing the response, but its content is closed.
                response.response = ClosingIterator(cast(Any, response.response), put)
            else:
                response.call_on_close(put)
        return response
