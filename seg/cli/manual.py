"""The manual page ``seg(1)``, made from the help texts. Run as ``python -m seg.cli.manual``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from seg.cli.main import LazyGroup, main
from seg.version import __version__

PAGE = Path(__file__).parents[2] / "packaging" / "man" / "seg.1"
AS_IT_IS = "\b"  # click's mark: the paragraph's lines stay as they are
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
        f'.TH SEG 1 "" "seg {__version__}" "Mail gateway"',
        ".SH NAME",
        "seg \\- talk to the mail gateway",
        ".SH SYNOPSIS",
        ".B seg",
        "[\\fIoptions\\fR] \\fIverb\\fR ...",
        ".SH DESCRIPTION",
        *_text(main.help or ""),
        ".SH OPTIONS",
        *_options(main, context),
    ]
    for title, names in LazyGroup.sections.items():
        lines.append(f".SH {_escape(title.upper())}")
        for name in names:
            command = main.get_command(context, name)
            assert command is not None  # it stands in a section
            lines += _verb(command, click.Context(command, info_name=name, parent=context))
    lines += [".SH EXIT STATUS", *_terms(STATUS), ".SH FILES", *_terms(FILES)]
    return "\n".join(lines) + "\n"


def _verb(command: click.Command, context: click.Context) -> Iterator[str]:
    """A verb, and those below it."""
    yield f".SS {_escape(context.command_path)} {_escape(' '.join(command.collect_usage_pieces(context)))}"
    yield from _text(command.help or "")
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None  # it is listed
            yield from _verb(inner, click.Context(inner, info_name=name, parent=context))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    records = (option.get_help_record(context) for option in options)
    yield from _terms([record for record in records if record is not None])


def _terms(terms: Sequence[tuple[str, str]]) -> Iterator[str]:
    for term, text in terms:
        yield ".TP"
        yield f".B {_escape(term)}"
        yield _escape(" ".join(text.split()))


def _text(text: str) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        lines = paragraph.splitlines()
        yield ".PP"
        if lines and lines[0].strip() == AS_IT_IS:
            yield from (".nf", *(_escape(line) for line in lines[1:]), ".fi")
        else:
            yield _escape(" ".join(line.strip() for line in lines))


def _escape(text: str) -> str:
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(manual(), "utf-8")
