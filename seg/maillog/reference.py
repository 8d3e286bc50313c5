"""Writes the list of lines in ``docs/log-lines.md`` from the table.

``python -m seg.maillog.reference`` in the project's folder writes it; a test fails when it differs from the
table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from seg.config.marked import replace_block
from seg.maillog.jsonlines import JSONLines, event_name
from seg.maillog.lines import AREAS
from seg.maillog.log_table import LogEntry, clean
from seg.maillog.timestamps import TimestampCache

COMMAND = "python -m seg.maillog.reference"
_WHEN = 1727364219.25  # of the examples


def reference_text() -> str:
    """All lines in Markdown: event, when it happens, level and form of each line, an example, and its
    JSON."""
    lines: list[str] = []
    for area, entries in AREAS:
        lines += [f"### {area}", ""]
        for entry in entries:
            lines += _entry(entry)
    return "\n".join(lines)


def _entry(entry: LogEntry) -> Iterator[str]:
    yield f"#### {entry.event.__name__}"
    yield ""
    yield entry.when
    yield ""
    for form in entry.forms:
        yield f"- {form.level.value}: `{form.template}`"
    yield ""
    yield "```"
    for level, text in entry.render(entry.example):
        yield f"{level.value}: {clean(text)}"
    yield "```"
    yield ""


def json_example() -> str:
    """One event as JSON, for the page."""
    for _, entries in AREAS:
        for entry in entries:
            if event_name(entry.event) == "recipient_delayed":
                return JSONLines(TimestampCache()).line(entry.example, _WHEN, entry.level.word)
    raise LookupError("recipient_delayed")


def page_text(page: str) -> str:
    """The page with its block renewed. Times in it are UTC, wherever it is made."""
    zone = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        return replace_block(page, COMMAND, f"```json\n{json_example()}\n```\n\n{reference_text()}")
    finally:
        os.environ.pop("TZ") if zone is None else os.environ.update(TZ=zone)
        time.tzset()


if __name__ == "__main__":
    path = Path("docs") / "log-lines.md"
    path.write_text(page_text(path.read_text("utf-8")), "utf-8")
