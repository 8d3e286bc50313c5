"""How lists, times and sizes are shown to a person."""

from __future__ import annotations

import io
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Any

from seg.cli.output import plain_wanted, say, write_shown
from seg.cli.output import print_json as print_json

PIPED = 200  # columns of what isn't a terminal: nothing is left out there, be it wider or not


def print_table(
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[object]],
    importance: Sequence[str] = (),
    tallest: int = 0,
) -> None:
    """A table with a header; `columns` are (title, "left" or "right"). Nothing breaks inside a word; in a terminal columns that have no room
    are left out, and that is said. Not cut short when piped into a program.

    :param importance: titles, the most important first; the others follow in their order.
    :param tallest: lines that a row may have in a terminal before the least important column goes; 0: any number.
    """
    terminal, written = sys.stdout.isatty(), io.StringIO()
    width = shutil.get_terminal_size().columns if terminal else PIPED
    _draw(columns, [[plain(cell) for cell in row] for row in rows], width, terminal, written, importance, tallest)
    write_shown(written.getvalue(), nl=False)


def _draw(
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    width: int,
    terminal: bool,
    written: io.StringIO,
    importance: Sequence[str],
    tallest: int,
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from seg.cli.table_layout import GAP, fit, least_width

    titles = [title for title, _ in columns]
    width = width if terminal else max(width, least_width(titles, rows))
    layout = fit(titles, rows, width, importance, tallest if terminal else 0)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, wide in zip(layout.columns, layout.widths, strict=True):
        title, side = columns[number]
        table.add_column(title, justify="right" if side == "right" else "left", width=wide, overflow="fold")
    for row in layout.rows:
        table.add_row(*row)
    styled = terminal and not plain_wanted()
    room = max(width, sum(layout.widths) + GAP * len(layout.widths))
    Console(file=written, force_terminal=styled, width=room, highlight=False, markup=False, emoji=False).print(table)
    if layout.left_out:
        names = ", ".join(titles[number] for number in layout.left_out)
        written.write(
            "\n".join(textwrap.wrap(f"No room for: {names} (a wider terminal, or --json, has all).", width)) + "\n"
        )


def print_long(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[object]], header: bool) -> None:
    """A part of a long table, a line for each row and nothing folded: a hundred times quicker than `print_table`."""
    cells = [[plain(cell) for cell in row] for row in rows]
    titles = [title for title, _ in columns]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    for row in [titles, *cells] if header else cells:
        pairs = zip(row, widths, columns, strict=True)
        line = "   ".join(
            f"{cell:>{width}}" if side == "right" else f"{cell:<{width}}" for cell, width, (_, side) in pairs
        )
        say(f" {line.rstrip()}")


def plain(value: object) -> str:
    """Text without control characters: what comes from other hosts must not steer a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def times(number: int) -> str:
    """``1 time``, ``2 times``."""
    return f"{number} time{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """``3 h 12 min``: two units at the most."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(moment: float) -> str:
    """How long ago a POSIX time is."""
    return duration(time.time() - moment)


def paused_line(pause: dict[str, Any]) -> str:
    """Who paused the work queue, when and why."""
    return f"Paused by {plain(pause['by'])} {ago(pause['since'])} ago: {plain(pause['reason'])}"


def print_not_written(facts: dict[str, Any]) -> None:
    """What is in force and would be forgotten by a restart."""
    if facts["not_written"]:
        say(f"In force, not written down yet: {plain(facts['not_written'])}. It is tried again every minute.")


def until(moment: float) -> str:
    """When a POSIX time comes: ``in 12 s``, or ``now``."""
    wait = moment - time.time()
    return f"in {duration(wait)}" if wait > 0 else "now"


def stamp(moment: float) -> str:
    """A POSIX time as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(moment))


def size(octets: int) -> str:
    """``4.0 KiB``."""
    value: Any = float(octets)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"
