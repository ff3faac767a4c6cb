"""The thread that sends the mails of requests, so that neither an answer nor the next request waits for a mail server.

``response.call_on_close`` alone would not do: with some servers, the next request of the same connection waits for it,
which also tells clients whether a mail was sent.
"""

from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from multiprocessing.util import Finalize
from queue import Empty, Full, Queue
from threading import Lock, Thread
from time import monotonic
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

#: The most mails that wait in a process. Further mails are dropped: no request waits, and no memory fills.
MOST = 1000


class Outgoing:
    """Mails that wait, and the thread that sends one after the other. It starts with the first mail."""

    def __init__(
        self, deliver: Callable[[EmailMessage], object], report: Callable[[str], object], stop_timeout: float
    ) -> None:
        self.deliver, self.report, self.stop_timeout = deliver, report, stop_timeout
        self.queue: Queue[tuple[EmailMessage, dict[str, Any]] | None] = Queue(MOST)
        self.lock, self.ended = Lock(), False
        self.thread: Thread | None = None
        #: What is being sent.
        self.current: EmailMessage | None = None

    def put(self, message: EmailMessage, names: dict[str, Any]) -> None:
        """Have a mail sent. This never waits.

        :param names: what its log lines say, such as the id of the request.
        """
        if self.ended:
            self.drop(message, "the process ends")
            return
        try:
            self.queue.put_nowait((message, names))
        except Full:
            self.drop(message, f"{MOST} others wait for the mail server")
            return
        with self.lock:
            if self.thread is None:
                self.thread = Thread(target=self.run, name="mails", daemon=True)
                self.thread.start()
                # Worker processes of multiprocessing do not call functions of ``atexit``.
                Finalize(None, self.stop, exitpriority=1)

    def run(self) -> None:
        while waiting := self.queue.get():
            self.current = waiting[0]
            self.send(*waiting)
            self.current = None

    def send(self, message: EmailMessage, names: dict[str, Any]) -> None:
        """Send a mail, or say in a line of the log that it was not sent."""
        with bound_contextvars(**names):
            try:
                self.deliver(message)
            except Exception as error:  # noqa: BLE001 (whatever it is, the next mail is sent)
                reason = getattr(error, "reason", type(error).__name__)
                structlog.get_logger().error("mail_failed", message_id=message["Message-ID"], reason=reason)
                self.report("failed")

    def stop(self) -> None:
        """Send what waits when the process ends, for a part of the time that a stop has, and say what was not sent."""
        self.ended = True
        deadline = monotonic() + self.stop_timeout
        with suppress(Full):
            self.queue.put(None, timeout=self.stop_timeout)
            if self.thread:
                self.thread.join(max(0, deadline - monotonic()))
        if self.current:
            self.drop(self.current, "the process ended before the mail server answered")
        with suppress(Empty):
            while True:
                if waiting := self.queue.get_nowait():
                    self.drop(waiting[0], "the process ended before it was sent")

    def drop(self, message: EmailMessage, reason: str) -> None:
        structlog.get_logger().error("mail_dropped", message_id=message["Message-ID"], reason=reason)
        self.report("dropped")
