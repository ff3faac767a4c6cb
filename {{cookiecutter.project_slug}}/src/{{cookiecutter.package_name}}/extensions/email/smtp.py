"""SMTP: how a mail leaves the process. https://docs.python.org/3/library/smtplib.html"""

from collections.abc import Mapping
from contextlib import suppress
from email.message import EmailMessage
from typing import Any


def send(config: Mapping[str, Any], message: EmailMessage) -> None:
    """Send a mail over a connection of its own, which is encrypted for a server with a valid certificate alone.

    :raises OSError: if the server did not take it.
    """
    # Imported here, because a process that sends no mail needs neither.
    import ssl
    from smtplib import SMTP, SMTP_SSL

    host, port, timeout = config["MAIL_HOST"], config["MAIL_PORT"], config["MAIL_TIMEOUT"]
    context = ssl.create_default_context()
    implicit = config["MAIL_TLS"] == "tls"
    server = SMTP_SSL(host, port, timeout=timeout, context=context) if implicit else SMTP(host, port, timeout=timeout)
    try:
        if config["MAIL_TLS"] == "starttls":
            server.starttls(context=context)
        if config["MAIL_USER"]:
            server.login(config["MAIL_USER"], config["MAIL_PASSWORD"])
        server.send_message(message)
        with suppress(OSError):  # It has the mail, and a failure would send the mail twice.
            server.quit()
    finally:
        server.close()


def explain(error: Exception) -> tuple[str, bool]:
    """Why a mail was not sent, and whether the server would refuse it again.

    Of what a server says only the number is told: the text quotes addresses.
    """
    from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPResponseException

    if isinstance(error, SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
        return f"{type(error).__name__}: {code}", code >= 500
    if isinstance(error, SMTPResponseException):
        code = error.smtp_code
        return f"{type(error).__name__}: {code}", isinstance(error, SMTPDataError) and code >= 500
    return f"{type(error).__name__}: {error}", False
