"""Which log a verb reads: the mail log, or the file of a subscription to it."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from seg.cli.context import CommandContext
from seg.config.log import LogForm, SubscriptionKind
from seg.config.paths import log_path
from seg.config.problems import offered
from seg.config.schema import Settings
from seg.config.subscriptions import MAIL_JSON, MAIL_LOG, LogFileName, check_file_name, file_of

LOG = click.argument("log", metavar="[LOG]", required=False)


@attrs.frozen
class ChosenLog:
    """A log's files."""

    path: Path  # the one that is written
    closed: str  # pattern of those that were closed, compressed or not
    form: LogForm


def chosen_log(context: CommandContext, name: str | None) -> ChosenLog:
    """The log of a name: a subscription's, or a file's in var/log; without one the mail log.

    A gateway needn't run, and a subscription may be gone: its files can still be read.
    """
    settings: Settings = context.settings()
    folder = log_path(settings).parent
    file = _named(settings, folder, name) if name else MAIL_LOG
    return ChosenLog(folder / file.name, file.closed_pattern, file.form)


def _named(settings: Settings, folder: Path, name: str) -> LogFileName:
    known = {"mail": MAIL_LOG, MAIL_LOG.name: MAIL_LOG, MAIL_JSON.name: MAIL_JSON}
    for one in settings.log_subscription:
        if file := file_of(one):
            known.setdefault(file.name, file)
    for one in settings.log_subscription:
        if file := file_of(one):
            known.setdefault(one.name, file)
        if one.name == name and one.kind is not SubscriptionKind.FILE:
            raise click.ClickException(f"{name} goes to {one.address}: there is no file to read here")
    if name in known:
        return known[name]
    try:
        check_file_name(name)
    except ValueError:
        pass
    else:
        if (folder / name).is_file():
            return LogFileName(name, LogForm.JSON if name.endswith(".jsonl") else LogForm.TEXT)
    there = sorted({file.name for file in known.values()})
    raise click.ClickException(f"there is no log {name} in {folder}{offered(name, there)}")
