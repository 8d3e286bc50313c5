"""The one way to a terminal. What comes from other hosts, from messages and from files must not steer it, nor turn the order of its letters."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import click

# C0 but tab and line feed, DEL, C1; what changes the direction of writing, ends a line, can't be seen, or is half a character.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)

# How a write to an output fails that is closed, full or gone. Nothing but click's help is written without `say`.
NOT_WRITTEN = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})

_STYLE = 0x10F000  # and the number of an attribute (ECMA-48, SGR) behind it
_COLOURS = {"red": 31, "green": 32, "yellow": 33, "cyan": 36}
_STYLES = re.compile(f"[{''.join(chr(_STYLE + code) for code in (0, 1, *_COLOURS.values()))}]")


def visible(text: object) -> str:
    """Text for a terminal: everything that would steer it is shown as an escape; line ends and tabs stay."""
    return _STEERING.sub(_escape, str(text))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def plain_wanted() -> bool:
    """Whether the environment asks for no colours (https://no-color.org): then nothing is written in any style."""
    return bool(os.environ.get("NO_COLOR"))


def styled(text: object, *, fg: str | None = None, bold: bool = False) -> str:
    """A part of a line in a colour, for `say`. Characters of private use stand for the colours until then."""
    codes = [*([_COLOURS[fg]] if fg else []), *([1] if bold else [])]
    return "".join(chr(_STYLE + code) for code in codes) + visible(text) + chr(_STYLE)


def say(
    text: object = "", *, err: bool = False, nl: bool = True, fg: str | None = None, bold: bool | None = None
) -> None:
    """Write text, the colours of our own choice around it.

    :param err: to standard error.
    :param nl: end the line.
    """
    shown = visible(styled(text, fg=fg, bold=bool(bold)) if fg or bold else text)
    style = "" if plain_wanted() else "\x1b[{}m"
    write_shown(_STYLES.sub(lambda found: style.format(ord(found[0]) - _STYLE), shown), err=err, nl=nl)


def write_shown(text: str, err: bool = False, nl: bool = True) -> None:
    """Write what doesn't steer the terminal any more, or only by styles of our own."""
    try:
        click.echo(text, err=err, nl=nl)
    except OSError as error:
        end_without_output(error)


def end_without_output(error: OSError) -> NoReturn:
    """The output can't be written: a pipe that nobody reads any more ends the command quietly, as SIGPIPE does others (status 141);
    anything else is one line of error (status 1).

    :raises SystemExit: always. It isn't taken for a fault of what was being read.
    """
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError, ValueError):  # what is still in the buffers must not fail again at the end
            os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    if error.errno == errno.EPIPE:
        raise SystemExit(128 + signal.SIGPIPE)
    with contextlib.suppress(OSError):
        click.echo(f"seg: the output can't be written: {error.strerror or error}", err=True)
    raise SystemExit(1)


def need_output() -> None:
    """End the program before it does anything when its output is closed (``>&-``): nobody would know what it did.

    A closed input is an empty one.
    """
    if sys.stdout is None:
        end_without_output(OSError(errno.EBADF, os.strerror(errno.EBADF)))
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - until the program ends


@contextlib.contextmanager
def told_safely() -> Iterator[None]:
    """What click itself writes, errors and help texts, goes the same way as all else."""
    try:
        yield
    except click.ClickException as error:
        raise shown_safely(error) from None
    except OSError as error:
        if error.filename is None and error.errno in NOT_WRITTEN:
            end_without_output(error)
        raise


def print_json(value: object, indent: int | None = 2) -> None:
    """The same facts for a program: one JSON document. It may be shown in a terminal all the same: what steers it is escaped in JSON's way."""
    print_json_line(json.dumps(value, indent=indent, ensure_ascii=False))


def print_json_line(text: str) -> None:
    """JSON that is text already."""
    write_shown(_STEERING.sub(_escape_in_json, text))


def _escape_in_json(found: re.Match[str]) -> str:
    """As two halves where it is beyond 16 bits (RFC 8259 §7); json itself leaves DEL as it is."""
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def shown_safely(error: click.ClickException) -> click.ClickException:
    """The same error, whose message doesn't steer a terminal either."""
    told = error.format_message

    def message() -> str:
        return visible(told())

    error.format_message = message  # type: ignore[method-assign]
    return error


def prompt(question: str, **options: Any) -> Any:
    """`click.prompt`, whose question may name what comes from elsewhere."""
    return click.prompt(visible(question), **options)
