"""The table of the demonstration: a row of facts for each case, and below it the reason in full width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seg.cli.tables import plain
from seg.lab.cases import ExpectedOutcome, Protection
from seg.lab.findings import CaseResult

WIDE = 125  # columns from which the MX has a column of its own; below, it stands before the reason
GAP = 2  # columns between two cells
INDENT = 4  # columns before a reason
TITLES = ("Domain", "Policy found", "MX", "TLS", "Verified by", "Outcome")
MX = TITLES.index("MX")
OUTCOMES = {
    ExpectedOutcome.DELIVERED: "green",
    ExpectedOutcome.DELAYED_THEN_DELIVERED: "green",
    ExpectedOutcome.BOUNCED: "red",
}
PROTECTIONS = {Protection.ENCRYPTED: "green", Protection.CLEAR: "yellow", Protection.NOT_SENT: "dim"}


def style_of(outcome: ExpectedOutcome) -> str:
    """The colour of an outcome."""
    return OUTCOMES.get(outcome, "yellow")


def print_findings(console: Console, findings: Sequence[CaseResult]) -> None:
    """Print the table."""
    wide = console.width >= WIDE
    rows = [_cells(finding) for finding in findings]
    titles = [Text(title, "bold") for title in TITLES]
    if not wide:
        for row in (titles, *rows):
            del row[MX]
    widths = _widths([titles, *rows], console.width - 1)
    console.print(_row(titles, widths))
    console.print(Text("─" * min(console.width - 1, sum(widths) + GAP * (len(widths) - 1)), "dim"))
    for finding, row in zip(findings, rows, strict=True):
        console.print(_row(row, widths))
        where = f"{finding.mx}: " if finding.mx and not wide and finding.mx not in finding.why else ""
        print_indented(console, plain(where + finding.why), INDENT, "dim")


def print_indented(console: Console, text: str, columns: int, style: str = "") -> None:
    """Print a text with every line of it indented, and no blanks at the ends of lines."""
    for line in Text(text, style).wrap(console, console.width - columns):
        line.rstrip()
        console.print(Text(" " * columns).append_text(line))


def _cells(finding: CaseResult) -> list[Text]:
    tls = finding.tls or ("clear text" if finding.protection is Protection.CLEAR else "nothing sent")
    verified = finding.verified_by or ("-" if finding.protection is Protection.NOT_SENT else "nobody")
    outcome = Text(str(finding.outcome), style_of(finding.outcome))
    if not finding.ok:
        outcome.append(" (unexpected)", "bold red")
    return [
        Text(finding.case.domain),
        Text(plain(finding.policy)),
        Text(plain(finding.mx or "-")),
        Text(tls, PROTECTIONS[finding.protection]),
        Text(verified),
        outcome,
    ]


def _widths(rows: Sequence[Sequence[Text]], room: int) -> list[int]:
    """The widths of the columns: as their cells need it, else the widest ones are narrowed until all fit."""
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    while sum(widths) + GAP * (len(widths) - 1) > room and max(widths) > 10:
        # The first column stays whole as long as any other can give way.
        widest = max(range(1, len(widths)), key=widths.__getitem__)
        widths[widest if widths[widest] > 10 else 0] -= 1
    return widths


def _row(cells: Sequence[Text], widths: Sequence[int]) -> Table:
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for width in widths:
        grid.add_column(width=width, overflow="fold")
    grid.add_row(*cells)
    return grid
