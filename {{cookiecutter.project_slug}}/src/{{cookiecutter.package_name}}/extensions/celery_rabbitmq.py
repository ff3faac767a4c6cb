"""RabbitMQ as the broker of jobs: a topic exchange and quorum queues. https://www.rabbitmq.com/docs/quorum-queues"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.amqp import Queue

BROKER = "amqp://user:password@host:5672/name"
ADDRESS_OF_BROKER = r"amqps?://(?:[^/?#@]*@)?(?:[^/?#@:\[\]]+|\[[\da-fA-F:.]+\])(?::\d+)?(?://|/[^/?#]*)?"


def queue(name: str) -> "Queue":
    from celery.app.amqp import Exchange, Queue

    # A topic, because what is to run later then waits in queues of RabbitMQ, and not in a worker.
    return Queue(name, Exchange(name, "topic"), name, queue_arguments={"x-queue-type": "quorum"})


def transport(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    timeout = config["BROKER_TIMEOUT"]
    # A broker that is paused would take messages and never have them.
    return {"confirm_publish": True, "read_timeout": timeout, "write_timeout": timeout}


def age(channel: Any, name: str) -> None:
    """Unknown: who looks at a message takes it out of the queue."""


def prepare_delays(celery: "Celery") -> None:
    """Make what jobs wait in until they are due; a worker makes it, too. Without it, RabbitMQ refuses such a job."""
    from celery.exceptions import OperationalError
    from kombu.transport import native_delayed_delivery as delays

    with celery.connection_for_write() as connection:
        try:
            kind = celery.conf.broker_native_delayed_delivery_queue_type
            delays.declare_native_delayed_delivery_exchanges_and_queues(connection, kind)
            queue = celery.amqp.queues[celery.conf.task_default_queue]
            queue(connection.channel()).declare()
            delays.bind_queue_to_native_delayed_delivery_exchange(connection, queue)
        except connection.recoverable_connection_errors as error:
            raise OperationalError(str(error)) from error


def send_once(celery: "Celery", name: str, due: int, send: Callable[[], object]) -> bool:
    """Send a job if its time is later than that of a message, which one scheduler at a time can hold.

    The message goes back if the scheduler dies before the job is sent: it is then sent by another. The first time is
    noted, and nothing sent.
    """
    from celery.app.amqp import Exchange, Queue

    # One message: of two schedulers that both put the first one there, the later replaces that of the earlier.
    arguments = {"x-max-length": 1, "x-overflow": "drop-head"}
    note = f"{celery.conf.task_default_queue}.schedule.{name}"
    with celery.connection_for_write() as connection, connection.channel() as channel:
        queue = Queue(note, Exchange(""), note, queue_arguments=arguments)
        try:
            queue(channel).queue_declare(passive=True)
        except connection.channel_errors:  # There is none yet.
            with connection.channel() as another:
                queue(another).queue_declare()
            _note(celery, note, due)
            return False
        if (message := queue(channel).get()) is None:
            raise BlockingIOError("Another scheduler is about to send it.")
        if int(message.payload) >= due:
            message.requeue()
            return False
        send()
        _note(celery, note, due)
        message.ack()
    return True


def _note(celery: "Celery", queue: str, due: int) -> None:
    with celery.producer_or_acquire() as producer:
        producer.publish(due, exchange="", routing_key=queue, serializer="json", delivery_mode=2)
