"""Jobs that ended with a failure: they are kept in a queue of the broker, and ``flask jobs`` shows and sends them again.

With an outbox, they are kept there: ``Jobs.kept``.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

import click
import structlog
from flask.cli import AppGroup
from werkzeug.exceptions import ServiceUnavailable

from . import chosen_broker, declared, job_failed, jobs

if TYPE_CHECKING:
    from . import Jobs

commands = AppGroup("jobs", help="Look after jobs: send them, and see to those that failed.")


class Failure(TypedDict):
    """A job that failed, as it is kept."""

    id: str
    job: str
    args: list[Any]
    kwargs: dict[str, Any]
    error: str
    failed: str
    request_id: str


def keep(found: "Jobs", name: str, key: str, headers: Mapping[str, Any], arguments: Any, error: BaseException) -> None:
    """Keep a job that has failed for good."""
    reason = f"{type(error).__name__}: {error}"[:1000]
    structlog.get_logger().error("job_failed", job=name, job_id=key, reason=reason)
    with found.app.app_context():
        job_failed.send(found.app, job=name, arguments=arguments)
    args, kwargs = arguments
    failure: Failure = {
        "id": key,
        "job": name,
        "args": list(args or ()),
        "kwargs": dict(kwargs or {}),
        "error": reason,
        "failed": datetime.now(UTC).isoformat(timespec="seconds"),
        "request_id": str(headers.get("request_id", "")),
    }
    put(found, failure)


def put(found: "Jobs", failure: Failure) -> None:
    queue = _queue(found)
    with found.celery.producer_or_acquire() as producer:
        producer.publish(
            failure,
            exchange=queue.exchange,
            routing_key=queue.routing_key,
            declare=[queue],
            serializer=found.celery.conf.task_serializer,
            retry=True,
            retry_policy=found.celery.conf.task_publish_retry_policy,
        )


def take(found: "Jobs", wanted: str | None = None) -> list[Failure]:
    """Read what is kept, and take out the one that is wanted."""
    from .broker import connect

    taken: list[Failure] = []
    with ExitStack() as stack:
        connection = stack.enter_context(found.celery.connection_for_read())
        stack.enter_context(click_errors(*connection.connection_errors, *connection.channel_errors))
        queue = _queue(found)(stack.enter_context(connect(connection).channel()))
        queue.declare()
        messages = []
        while message := queue.get(no_ack=False):
            messages.append(message)
        for message in messages:
            taken.append(message.payload)
            if message.payload["id"] == wanted:
                message.ack()
            else:
                message.requeue()
    return taken


@contextmanager
def click_errors(*errors: type[Exception]) -> Iterator[None]:
    """End a command with a line that says why."""
    try:
        yield
    except ServiceUnavailable as error:
        raise click.ClickException(str(error.description)) from None
    except errors as error:
        raise click.ClickException(str(error)) from None


def _queue(found: "Jobs") -> Any:
    return chosen_broker().queue(f"{found.celery.conf.task_default_queue}.failed")


def find(found: "Jobs", key: str, remove: bool = False) -> Failure:
    for failure in found.kept(found, key if remove else None):
        if failure["id"] == key:
            return failure
    raise click.ClickException(f"No job that failed has the id {key}.")


@commands.command("list")
def list_jobs() -> None:
    """List the jobs that failed: id, time, name, error."""
    found = jobs()
    for failure in sorted(found.kept(found), key=lambda failure: failure["failed"]):
        first_line = failure["error"].partition("\n")[0]
        click.echo(f"{failure['id']}  {failure['failed']}  {failure['job']}  {first_line[:80]}")


@commands.command("show")
@click.argument("key", metavar="ID")
def show(key: str) -> None:
    """Show a job that failed, with its arguments."""
    click.echo(json.dumps(find(jobs(), key), indent=2))


@commands.command("retry")
@click.argument("key", metavar="ID")
def retry(key: str) -> None:
    """Send a job that failed again."""
    found = jobs()
    failure = find(found, key)
    if failure["job"] not in declared:
        raise click.ClickException(f"This release has no job {failure['job']}.")
    with click_errors(TypeError, ValueError):
        click.echo(declared[failure["job"]].send(*failure["args"], **failure["kwargs"]))
        found.commit()
    find(found, key, remove=True)


@commands.command("send")
@click.argument("name")
@click.argument("arguments", default="{}")
def send(name: str, arguments: str) -> None:
    """Send a job by its name, with its arguments as a JSON object."""
    if name not in declared:
        raise click.ClickException(f"There is no job {name}: {', '.join(sorted(declared)) or 'none is declared'}.")
    with click_errors(TypeError, ValueError):
        click.echo(declared[name].send(**json.loads(arguments)))
        jobs().commit()
