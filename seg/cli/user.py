"""``seg user``: who may hand in mail after AUTH. Works on the users file, be the gateway running or not."""

from __future__ import annotations

import getpass
import sys

import click

from seg.auth.names import InvalidName, prepare_name, prepare_password
from seg.auth.users import Users, new_user, parse_users, with_user, without_user
from seg.cli.context import CommandContext
from seg.cli.dialogue import sure
from seg.cli.options import JSON, YES
from seg.cli.output import say
from seg.cli.secret_file import SecretFile, secret_file
from seg.cli.tables import print_json, print_table
from seg.config.paths import users_path

FROM_INPUT = click.option(
    "--password-stdin",
    "from_input",
    is_flag=True,
    help="Read the password from standard input (one line), without asking.",
)
NO_SCRAM = click.option(
    "--no-scram",
    is_flag=True,
    help="Keep no keys for SCRAM: whoever steals the file guesses slower, and the user can log in by PLAIN and LOGIN only.",
)
LEAST = 8  # characters of a password


@click.group()
def user() -> None:
    """Who may hand in mail after AUTH: name and password.

    The gateway sees a change at once. A password is never an argument: it is asked for, or read from standard input.

    \b
    seg user add alice@example.com
    seg user list
    pwgen -s 20 1 | seg user passwd alice@example.com --password-stdin
    """


@user.command()
@click.argument("name")
@FROM_INPUT
@NO_SCRAM
@JSON
@click.pass_obj
def add(context: CommandContext, name: str, from_input: bool, no_scram: bool, as_json: bool) -> None:
    """Add a user."""
    _set(context, name, from_input, no_scram, as_json, new=True)


@user.command()
@click.argument("name")
@FROM_INPUT
@NO_SCRAM
@JSON
@click.pass_obj
def passwd(context: CommandContext, name: str, from_input: bool, no_scram: bool, as_json: bool) -> None:
    """Give a user another password."""
    _set(context, name, from_input, no_scram, as_json, new=False)


@user.command("list")
@JSON
@click.pass_obj
def list_(context: CommandContext, as_json: bool) -> None:
    """List the users, and lines of the file that can't be read."""
    file = _file(context)
    path, users = file.path, file.read()
    if as_json:
        found = [
            {"name": each.name, "password": bool(each.password), "scram": each.scram is not None}
            for each in users.by_name.values()
        ]
        print_json({"file": str(path), "users": found, "faults": list(users.faults)})
        return
    if not users.by_name:
        say(f"There are no users in {path} (seg user add NAME).")
    else:
        rows = [
            (each.name, "yes" if each.password else "no", "yes" if each.scram else "no")
            for each in users.by_name.values()
        ]
        print_table((("User", "left"), ("PLAIN, LOGIN", "left"), ("SCRAM", "left")), rows)
    for fault in users.faults:
        say(f"{path}: {fault}; the line is passed over", err=True)


@user.command()
@click.argument("name")
@YES
@JSON
@click.pass_obj
def delete(context: CommandContext, name: str, yes: bool, as_json: bool) -> None:
    """Remove a user. Whoever is logged in stays so until the connection ends."""
    file = _file(context)
    path, users = file.path, file.read()
    prepared = _prepared(name)
    if prepared not in users.by_name:
        raise click.ClickException(f"there is no user {prepared} in {path} (seg user list)")
    sure(f"Are you sure you want to delete the user {prepared}?", "this deletes a user with the password", yes)
    file.change(lambda text: without_user(text, prepared))
    _done(as_json, prepared, "deleted")


def _set(context: CommandContext, name: str, from_input: bool, no_scram: bool, as_json: bool, new: bool) -> None:
    file = _file(context)
    path, users = file.path, file.read()
    prepared = _prepared(name)
    if new and prepared in users.by_name:
        raise click.ClickException(f"there is a user {prepared} already (seg user passwd {prepared})")
    if not new and prepared not in users.by_name:
        raise click.ClickException(f"there is no user {prepared} in {path} (seg user add {prepared})")
    made = new_user(prepared, _password(from_input), scram=not no_scram)
    file.change(lambda text: with_user(text, made))
    _done(as_json, prepared, "added" if new else "has another password")


def _password(from_input: bool) -> str:
    """The password, prepared.

    :raises click.ClickException: it is unfit, or was typed in two ways.
    """
    if from_input:
        text = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        text = getpass.getpass("Password: ")
        if text != getpass.getpass("Again: "):
            raise click.ClickException("the two passwords differ")
    else:
        raise click.UsageError("no terminal to ask for the password at; use --password-stdin")
    if len(text) < LEAST:
        raise click.ClickException(f"a password has at least {LEAST} characters")
    try:
        return prepare_password(text)
    except InvalidName as error:
        raise click.ClickException(str(error)) from None


def _prepared(name: str) -> str:
    try:
        return prepare_name(name)
    except InvalidName as error:
        raise click.ClickException(str(error)) from None


def _file(context: CommandContext) -> SecretFile[Users]:
    return secret_file(context, users_path, parse_users)


def _done(as_json: bool, name: str, what: str) -> None:
    if as_json:
        print_json({"user": name, "done": what})
    else:
        say(f"User {name} {what}.")
