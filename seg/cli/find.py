"""``seg grep`` and ``seg findevent``: the mail log searched, over closed files too. They need no running gateway."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import click

from seg.cli.context import CommandContext
from seg.cli.dialogue import ask, can_ask, choose
from seg.cli.logs import LOG, ChosenLog, chosen_log
from seg.cli.options import JSON
from seg.cli.output import say
from seg.cli.tables import plain, print_json
from seg.config.log import LogForm
from seg.maillog.follow import follow
from seg.maillog.search import (
    Progress,
    SearchCriteria,
    files_of,
    find_messages,
    lines_of,
    matching,
    parse_moment,
    story_of,
)

MANY = 10  # messages; their stories aren't all told at once


@attrs.frozen
class GrepOptions:
    """How to search, and what to show."""

    ignore_case: bool
    invert: bool
    count: bool
    context: int  # lines before and behind each
    following: bool


@click.command()
@click.argument("pattern", required=False)
@LOG
@click.option("-e", "--regexp", "expression", metavar="REGEX", help="The pattern, where it begins with a dash.")
@click.option("-i", "ignore_case", is_flag=True, help="Whatever the case.")
@click.option("-v", "invert", is_flag=True, help="The lines that it doesn't fit.")
@click.option("-c", "count", is_flag=True, help="Only how many.")
@click.option("-C", "context", type=click.IntRange(0, 100), default=0, help="So many lines before and behind each.")
@click.option("-t", "following", is_flag=True, help="Only the lines that come from now on; Ctrl-C ends it.")
@click.pass_obj
def grep(context: CommandContext, /, pattern: str | None, log: str | None, expression: str | None, **how: Any) -> None:
    """Show the lines of the mail log that a regular expression fits, closed and compressed files included; or those of LOG:
    a log subscription, or its file.

    Exit status: 0 when there is one, 1 when there is none.
    """
    if expression is not None and pattern is not None:
        if log is not None:
            raise click.UsageError("with -e there is no other pattern")
        pattern, log = None, pattern
    options = GrepOptions(**how)
    wanted = _compiled(expression or pattern, options)
    chosen = chosen_log(context, log)
    found = 0
    with _readable(chosen), _progress(chosen, options.following) as progress:
        lines = (
            (line.encode() for line in follow(chosen.path, 0))
            if options.following
            else lines_of(_files(chosen), progress, _broken)
        )
        for line in matching(lines, wanted, invert=options.invert, context=options.context):
            found += 1
            if not options.count:
                say(line.decode("utf-8", "backslashreplace"))
    if options.count:
        say(found)
    sys.exit(0 if found else 1)


def _compiled(text: str | None, options: GrepOptions) -> re.Pattern[bytes]:
    """The expression; without one it is asked for."""
    if text is None:
        if not can_ask():
            raise click.UsageError("give a pattern: seg grep 'MID 5444'")
        text = ask("Enter the regular expression to grep.", "", lambda answer: "" if answer else "It can't be empty.")
    try:
        return re.compile(text.encode(), re.IGNORECASE if options.ignore_case else 0)
    except re.error as error:
        raise click.ClickException(f"{text!r} is no regular expression: {error}") from None


@click.command()
@LOG
@click.option("-m", "--mid", "mids", type=click.IntRange(1), multiple=True, help="The message with this id.")
@click.option("-f", "--from", "sender", metavar="TEXT", default="", help="Envelope sender, or part of it.")
@click.option("-t", "--to", "recipient", metavar="TEXT", default="", help="Envelope recipient, or part of it.")
@click.option("-s", "--subject", metavar="TEXT", default="", help="Subject, or part of it (log.message_details).")
@click.option("-I", "--message-id", metavar="TEXT", default="", help="Message-ID, or part of it (log.message_details).")
@click.option("--since", metavar="TIME", help="2h, today, yesterday, 2026-11-25, '2026-11-25 17:00'.")
@click.option("--until", metavar="TIME", help="The same.")
@click.option("--all", "everything", is_flag=True, help=f"The stories of more than {MANY} messages, too.")
@JSON
@click.pass_obj
def findevent(
    context: CommandContext, /, log: str | None, mids: tuple[int, ...], everything: bool, as_json: bool, **criteria: Any
) -> None:
    """Find messages in the mail log, and tell the whole story of each: how it came in, what was decided, where it went.
    LOG is a log subscription, or its file, to be searched instead.

    \b
    seg findevent --mid 5444
    seg findevent --from alice@example.com --since today
    seg findevent --to partner.example --since 2h
    """
    chosen = chosen_log(context, log)
    if chosen.form is not LogForm.TEXT:
        raise click.UsageError(f"{chosen.path.name} is written as JSON: findevent reads text (seg grep reads both)")
    if not mids and not any(criteria.values()):
        mids, asked = _asked()
        criteria |= asked
    wanted = _criteria(**criteria)
    with _readable(chosen):
        files = _files(chosen)
        if not mids:
            with _progress(chosen, as_json) as progress:
                mids = tuple(find_messages(lines_of(files, progress, _broken), wanted))
        if not mids:
            raise click.ClickException("no such message is in the mail log")
        if len(mids) > MANY and not everything:
            _tell_many(mids, as_json)
            return
        told = [line.decode("utf-8", "backslashreplace") for line in story_of(list(mids), lambda: lines_of(files))]
    if not told:
        raise click.ClickException(f"nothing of MID {', '.join(map(str, mids))} is in the mail log any more")
    if as_json:
        print_json({"mids": list(mids), "lines": told})
        return
    for line in told:
        say(plain(line))


def _criteria(since: str | None, until: str | None, **texts: str) -> SearchCriteria:
    now = datetime.now()
    try:
        begin, end = (parse_moment(text, now) if text else None for text in (since, until))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return SearchCriteria(**texts, since=begin, until=end)


def _tell_many(mids: tuple[int, ...], as_json: bool) -> None:
    if as_json:
        print_json({"mids": list(mids), "lines": []})
        return
    say(f"{len(mids)} messages fit: {', '.join(map(str, mids[:100]))}{', ...' if len(mids) > 100 else ''}")
    say("seg findevent --mid N tells the story of one, --all those of all.")


def _asked() -> tuple[tuple[int, ...], dict[str, str]]:
    """What to look for, as the vendor asks it: a message, or a text in one of its fields."""
    if not can_ask():
        raise click.UsageError("say what to look for: --mid, --from, --to, --subject, --message-id, --since")
    chosen = choose(
        "Please choose which type of search you want to perform:",
        ("Search by envelope FROM", "Search by MID", "Search by Subject", "Search by envelope TO"),
    )
    text = ask("Enter what to search for.", "", lambda answer: "" if answer else "It can't be empty.")
    if chosen == 2:
        if not (text.isascii() and text.isdigit()):
            raise click.UsageError(f"{text!r} is no MID")
        return (int(text),), {}
    return (), {{1: "sender", 3: "subject", 4: "recipient"}[chosen]: text}


def _broken(path: Path, error: Exception) -> None:
    say(f"seg: {path} can't be read to its end: {error}", err=True)


def _files(log: ChosenLog) -> list[Path]:
    files = files_of(log.path, log.closed)
    if not files:
        raise click.ClickException(f"there is no {log.path}: has the gateway run here yet?")
    return files


@contextmanager
def _readable(log: ChosenLog) -> Iterator[None]:
    """What can't be read is told with what to do."""
    try:
        yield
    except PermissionError as error:
        place = error.filename or log.path
        raise click.ClickException(
            f"you may not read {place}: be the user that runs the gateway (sudo -u ...)"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or log.path} can't be read: {error.strerror or error}") from None


@contextmanager
def _progress(log: ChosenLog, quiet: bool) -> Iterator[Progress]:
    """How far the search is, on a terminal, when there is much to search."""
    size = (
        0 if quiet or not sys.stderr.isatty() else sum(path.stat().st_size for path in files_of(log.path, log.closed))
    )
    if size < 50_000_000:
        yield lambda octets: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("searching", total=size)
        yield lambda octets: bar.advance(task, octets)
