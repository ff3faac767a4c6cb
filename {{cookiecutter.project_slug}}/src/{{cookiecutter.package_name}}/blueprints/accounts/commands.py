"""What staff cannot do in a page: ``flask accounts staff ada@example.com`` makes the first one."""

import click
from flask.cli import with_appcontext

from ...extensions.sqlalchemy import db
from .models import User
from .users import find


@click.command()
@click.argument("email")
@click.option("--remove", is_flag=True, help="Take it from them.")
@with_appcontext
def staff(email: str, remove: bool) -> None:
    """Let the user of an address administrate."""
    user = user_of(email)
    user.staff = not remove
    db.session.commit()
    click.echo(f"{user.email} is {'no longer ' if remove else ''}staff.")


@click.command()
@click.argument("email")
@with_appcontext
def remove_second_factor(email: str) -> None:
    """Let a user in who has lost the second factor and all recovery codes. First make sure who asks."""
    user = user_of(email)
    user.totp_secret = None
    db.session.commit()
    click.echo(f"{user.email} has no second factor.")


def user_of(email: str) -> User:
    user = find(email)
    if not user:
        raise click.ClickException(f"There is no account of {email}: sign up first.")
    return user
