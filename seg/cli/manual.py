"""The manual page ``seg(1)``, made from the help texts. ``python -m seg.cli.manual`` writes it, and those of the other commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from seg.cli.main import LazyGroup, main
from seg.cli.roff import escape, heading, terms, text
from seg.cli.sendmail_manual import mailq_page, sendmail_page
from seg.version import __version__

FOLDER = Path(__file__).parents[2] / "packaging" / "man"
FILES = (
    ("etc/seg.toml", "the gateway's configuration; another by --config"),
    ("etc/destinations.toml", "destination controls, bounce profiles and SMTP routes"),
    ("var/log/mail.log", "the mail log; mail.jsonl beside it has the same for programs"),
    ("var/run/seg.sock", "the control socket"),
)
STATUS = (
    ("0", "done"),
    ("1", "refused, or there was nothing to act on; of a check: it failed"),
    ("2", "wrong usage, or the gateway isn't running; of a check: it couldn't be found out"),
    ("130", "left by Ctrl-C"),
)


def manual() -> str:
    """The page in roff (man macros)."""
    context = click.Context(main, info_name="seg")
    lines = [
        heading("seg", 1, f"seg {__version__}"),
        ".SH NAME",
        "seg \\- talk to the mail gateway",
        ".SH SYNOPSIS",
        ".B seg",
        "[\\fIoptions\\fR] \\fIverb\\fR ...",
        ".SH DESCRIPTION",
        *text(main.help or ""),
        ".SH OPTIONS",
        *_options(main, context),
    ]
    for title, names in LazyGroup.sections.items():
        lines.append(f".SH {escape(title.upper())}")
        for name in names:
            command = main.get_command(context, name)
            assert command is not None  # it stands in a section
            lines += _verb(command, click.Context(command, info_name=name, parent=context))
    lines += [
        ".SH EXIT STATUS",
        *terms(STATUS),
        ".SH FILES",
        *terms(FILES),
        ".SH SEE ALSO",
        ".BR seg\\-sendmail (1),",
        ".BR seg\\-mailq (1)",
    ]
    return "\n".join(lines) + "\n"


def _verb(command: click.Command, context: click.Context) -> Iterator[str]:
    """A verb, and those below it."""
    yield f".SS {escape(context.command_path)} {escape(' '.join(command.collect_usage_pieces(context)))}"
    yield from text(command.help or "")
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None  # it is listed
            yield from _verb(inner, click.Context(inner, info_name=name, parent=context))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    records = (option.get_help_record(context) for option in options)
    yield from terms([record for record in records if record is not None])


PAGES: Mapping[str, Callable[[], str]] = {
    "seg.1": manual,
    "seg-sendmail.1": sendmail_page,
    "seg-mailq.1": mailq_page,
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")
