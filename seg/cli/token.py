"""``seg token``: who may use the admin API over TCP. Works on the tokens file, be the gateway running or not."""

from __future__ import annotations

import datetime
from typing import Any

import click

from seg.admin.roles import Role
from seg.admin.tokens import (
    Token,
    Tokens,
    hash_of,
    new_secret,
    parse_day,
    parse_name,
    parse_tokens,
    with_token,
    without_token,
)
from seg.cli.context import CommandContext
from seg.cli.dialogue import sure
from seg.cli.options import YES, Answering, WordChoice, json_or_text
from seg.cli.output import say
from seg.cli.secret_file import SecretFile, secret_file
from seg.cli.tables import print_table
from seg.config.paths import tokens_path

ROLE = click.option(
    "--role",
    type=WordChoice(["watch", "look", "act"]),
    default="look",
    show_default=True,
    help="watch: status and metrics, nothing of any message; look: what GET asks for, "
    "which includes waiting messages and the configuration without its passwords; act: everything.",
)
UNTIL = click.option(
    "--until", metavar="DATE", help="The last day on which it counts (UTC), such as 2027-03-31; else it has no end."
)


@click.group()
def token() -> None:
    """Who may use the admin API from other machines ([control] address in seg.toml): a token for each person or program.

    The gateway sees a change at once. What somebody does with a token is in the mail log as "token NAME".

    \b
    seg token add alice --role act
    seg token add monitoring --until 2027-03-31
    seg token list
    seg token delete alice
    """


@token.command()
@click.argument("name")
@ROLE
@UNTIL
@json_or_text
def add(context: CommandContext, name: str, role: str, until: str | None) -> Answering:
    """Make a token and print it, this once: the file keeps only its hash."""
    file = _file(context)
    tokens = file.read()
    name = _good(parse_name, name)
    last = _last_day(until)
    if name in tokens.by_name:
        raise click.ClickException(f"there is a token {name} already (seg token delete {name})")
    secret = new_secret()
    made = Token(name, Role(role), hash_of(secret.encode()), last)
    file.change(lambda text: with_token(text, made))
    yield {"name": name, "role": role, "until": until, "token": secret}
    say(secret)
    say(f"Token {name} added. Keep it now: it can't be shown again.", err=True)


@token.command("list")
@json_or_text
def list_(context: CommandContext) -> Answering:
    """List the tokens, and lines of the file that can't be read."""
    file = _file(context)
    path, tokens = file.path, file.read()
    today = _today()
    found = [
        {
            "name": each.name,
            "role": str(each.role),
            "until": each.until.isoformat() if each.until else None,
            "over": each.over(today),
        }
        for each in tokens.by_name.values()
    ]
    yield {"file": str(path), "tokens": found, "faults": list(tokens.faults)}
    if not found:
        say(f"There are no tokens in {path} (seg token add NAME).")
    else:
        rows = [
            (str(each["name"]), str(each["role"]), (f"{each['until'] or '-'}" + (" (over)" if each["over"] else "")))
            for each in found
        ]
        print_table((("Token", "left"), ("Role", "left"), ("Until", "left")), rows)
    for fault in tokens.faults:
        say(f"{path}: {fault}; the line is passed over", err=True)


@token.command()
@click.argument("name")
@YES
@json_or_text
def delete(context: CommandContext, name: str, yes: bool) -> Answering:
    """Revoke a token: its next request is refused."""
    file = _file(context)
    path, tokens = file.path, file.read()
    name = _good(parse_name, name)
    if name not in tokens.by_name:
        raise click.ClickException(f"there is no token {name} in {path} (seg token list)")
    sure(f"Are you sure you want to delete the token {name}?", "this deletes a token for good", yes)
    file.change(lambda text: without_token(text, name))
    yield {"name": name, "done": "deleted"}
    say(f"Token {name} deleted.")


def _good(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _last_day(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    day: datetime.date = _good(parse_day, text)
    if day < _today():
        raise click.ClickException(f"{day} has passed")
    return day


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _file(context: CommandContext) -> SecretFile[Tokens]:
    return secret_file(context, tokens_path, parse_tokens)
