"""``seg logconfig``: the mail log's own two files, and the subscriptions to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click

from seg.cli.context import CommandContext
from seg.cli.dialogue import can_ask
from seg.cli.options import JSON
from seg.cli.output import say
from seg.cli.sections import NamedSection, named_group, named_menu, section_command, section_dialogue
from seg.cli.staged import StagedEdits
from seg.cli.tables import print_json, print_table
from seg.config.log import Log, LogSubscription, SubscriptionKind
from seg.config.subscriptions import place_of
from seg.config.values import convert, specs, word

OF_FILES = ("file", "rotate_size", "keep", "compress")
OF_SYSLOGS = ("address", "facility")

_section = section_command("logconfig", "log", Log, "The mail log")


def _needless(answers: Mapping[str, Any]) -> Collection[str]:
    """Keys of the other kind."""
    return OF_FILES if answers.get("kind") == SubscriptionKind.SYSLOG else OF_SYSLOGS


SUBSCRIPTIONS = NamedSection(
    "logconfig",
    "settings",
    "log_subscription",
    LogSubscription,
    "log subscription",
    "Subscriptions to the mail log",
    needless=_needless,
)


@click.group(
    "logconfig",
    invoke_without_command=True,
    params=[*_section.params],
    short_help="The mail log, and subscriptions to it.",
    help="The mail log (mail.log and mail.jsonl): show the settings, or stage changes of them by options; and subscriptions "
    "to it, files and syslogs with a level of their own, by the verbs below. seg commit puts all of it into force. "
    "Without options and verb, on a terminal, it asks.",
)
@click.pass_context
def logconfig(context: click.Context, /, **given: Any) -> None:
    """Made from the section's command."""
    asked_for = [name for name, value in given.items() if value not in (None, False, ())]
    if context.invoked_subcommand is not None:
        if asked_for:
            raise click.UsageError(
                f"options before {context.invoked_subcommand} are the mail log's own: put them behind"
            )
        return
    if asked_for or not can_ask():
        context.invoke(_section, **given)
        return
    setup = ("The mail log's own two files.", lambda bench: section_dialogue(bench, "log", Log))
    named_menu(SUBSCRIPTIONS, StagedEdits(context.obj.gateway()), _list, {"SETUP": setup})


for _verb in named_group(SUBSCRIPTIONS).commands.values():
    logconfig.add_command(_verb)


@logconfig.command("list", help="List every log subscription: its level, and where it goes.")
@JSON
@click.pass_obj
def list_(context: CommandContext, as_json: bool) -> None:
    """Takes the place of the list of what is set."""
    _list(SUBSCRIPTIONS, StagedEdits(context.gateway()), as_json)


def _list(named: NamedSection, bench: StagedEdits, as_json: bool) -> None:
    entries = [_subscription(entry) for entry in bench.entries(named.file, named.table)]
    if as_json:
        print_json({"entries": [_record(one) for one in entries]})
        return
    log = bench.table("settings", "log")
    level = log.get("level", word(Log().level))
    files = "mail.log and mail.jsonl" if log.get("json", True) else "mail.log"
    say(f"{files}: level {level} (seg logconfig --help for more)")
    if not entries:
        say(f"There is no {named.noun} (seg logconfig new NAME ...).")
        return
    columns = ("Subscription", "Kind", "Level", "Form", "Where", "Events")
    rows = [(one.name, one.kind, one.level, one.form, place_of(one), ", ".join(one.events) or "all") for one in entries]
    print_table([(title, "left") for title in columns], rows)


def _subscription(entry: Mapping[str, Any]) -> LogSubscription:
    """An entry with its defaults; the gateway has checked it."""
    keys = specs(LogSubscription)
    return LogSubscription(**{name: convert(keys[name], value) for name, value in entry.items()})


def _record(one: LogSubscription) -> dict[str, Any]:
    keys = {"name": one.name, "kind": one.kind, "level": one.level, "form": one.form, "where": place_of(one)}
    theirs = OF_SYSLOGS[1:] if one.kind is SubscriptionKind.SYSLOG else OF_FILES[1:]
    return {
        **keys,
        "events": list(one.events),
        "message_details": one.message_details,
        **{name: getattr(one, name) for name in theirs},
    }
