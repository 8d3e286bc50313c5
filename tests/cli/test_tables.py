"""Tables at each width: nothing breaks inside a word, nothing is wider than the terminal, and the most important stays."""

from __future__ import annotations

import importlib
import io
import pkgutil
import re
from typing import Any
from unittest import mock

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import seg.cli
from seg.cli import tables
from seg.cli.context import CommandContext
from seg.cli.main import main
from seg.cli.table_layout import ELLIPSIS, fit

WIDTHS = (60, 80, 200)
Columns = tuple[tuple[str, str], ...]

# Tables whose columns are written where they are printed.
HERE: dict[str, Columns] = {
    "keys": (("Key", "left"), ("Value", "left"), ("Unit", "left"), ("Meaning", "left")),
    "entries": (("Listener", "left"), ("Set there (all else has its default)", "left")),
    "routes": (("Domain", "left"), ("Destination hosts", "left"), ("By", "left")),
    "commits": (("Number", "right"), ("Committed On", "left"), ("User", "left"), ("Description", "left")),
    "tokens": (("Token", "left"), ("Role", "left"), ("Until", "left")),
    "users": (("User", "left"), ("PLAIN, LOGIN", "left"), ("SCRAM", "left")),
    "authorities": (("Authority", "left"), ("Until", "left"), ("Days", "right")),
}


def all_tables() -> dict[str, tuple[Columns, tuple[str, ...]]]:
    """The columns of every list, and the order of importance."""
    found: dict[str, tuple[Columns, tuple[str, ...]]] = {name: (columns, ()) for name, columns in HERE.items()}
    for module in pkgutil.iter_modules(seg.cli.__path__):
        loaded = importlib.import_module(f"seg.cli.{module.name}")
        columns = getattr(loaded, "COLUMNS", ())
        if columns and all(isinstance(column, tuple) and len(column) == 2 for column in columns):
            found[module.name] = (columns, getattr(loaded, "IMPORTANCE", ()))
    return found


def drawn(
    columns: Columns, rows: list[tuple[str, ...]], width: int, importance: tuple[str, ...] = (), tallest: int = 0
) -> str:
    """What a terminal of this width shows."""
    written: list[str] = []
    screen: Any = mock.MagicMock(isatty=lambda: True)
    with (
        mock.patch.object(tables.sys, "stdout", screen),
        mock.patch.object(tables.shutil, "get_terminal_size", lambda: mock.MagicMock(columns=width)),
        mock.patch.object(tables, "write_shown", lambda text, **how: written.append(text)),
    ):
        tables.print_table(columns, rows, importance, tallest)
    return re.sub(r"\x1b\[\d*m", "", "".join(written))


class TableTests(SynchronousTestCase):
    """`print_table`."""

    def test_every_list(self) -> None:
        """Every list with long values: each word stands there whole or shortened with an ellipsis, within the width, with its first column."""
        found = all_tables()
        self.assertGreater(len(found), 12)
        for name, (columns, importance) in found.items():
            rows = [
                tuple(
                    f"{title.lower().replace(' ', '-')}-value.{'x' * (number % 3 * 6)}.example words of it"
                    for title, _ in columns
                )
                for number in range(3)
            ]
            words = {word for row in rows for cell in row for word in cell.split()} | {
                word for title, _ in columns for word in title.split()
            }
            for width in WIDTHS:
                for tallest in (0, 2):
                    text = drawn(columns, rows, width, importance, tallest)
                    body, _, note = text.partition("No room for: ")
                    self.assertTrue(all(len(line.rstrip()) <= width for line in text.splitlines()), (name, width, text))
                    for word in body.split():
                        whole = word in words or ELLIPSIS in word or set(word) <= {"─"}
                        self.assertTrue(whole, (name, width, word, text))
                    first = importance[0] if importance else columns[0][0]
                    self.assertTrue(all(part in body for part in first.split()), (name, width))
                    self.assertEqual(
                        bool(note), any(title not in self._titles(body) for title, _ in columns), (name, text)
                    )

    def _titles(self, body: str) -> str:
        """The header on one line, as far as its words go."""
        shown = set(body.split())

        class Titles(str):
            def __contains__(self, title: object) -> bool:
                return set(str(title).split()) <= shown

        return Titles()

    def test_destinations(self) -> None:
        """The list of destinations has rows of two lines at the most in 80 columns, and keeps what is decided for each."""
        from seg.cli.destconfig_show import COLUMNS, IMPORTANCE

        row = (
            "partner.example",
            "(IPv6 Preferred)",
            "(500 connections, 50 messages per connection, no limit)",
            "Required - Verify",
        )
        row = (*row, "(Opportunistic)", "(On)", "")
        text = drawn(COLUMNS, [row] * 3, 80, IMPORTANCE, 2)
        body = text.partition("─\n")[2].partition("No room")[0]
        self.assertLessEqual(len([line for line in body.splitlines() if line.strip()]), 6, text)
        for part in ("partner.example", "Verify", "(Opportunistic)", "(On)"):
            self.assertIn(part, text)

    def test_piped(self) -> None:
        """A program gets every word whole, however wide that is."""
        word, out = "y" * 250, io.StringIO()
        with (
            mock.patch.object(tables.sys, "stdout", out),
            mock.patch("click.echo", lambda text, **how: out.write(text)),
        ):
            tables.print_table((("A", "left"), ("B", "left")), [(word, word)])
        self.assertEqual(out.getvalue().count(word), 2)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(*[st.text("ab c界", max_size=60)] * 5), max_size=4),
        st.integers(8, 220),
        st.integers(0, 3),
    )
    def test_any(self, rows: list[tuple[str, ...]], width: int, tallest: int) -> None:
        """Whatever stands in the cells, the widths fit, and each word has room."""
        from rich.cells import cell_len

        layout = fit(("One", "Two", "Three", "Four", "Five words"), rows, width, ("Two",), tallest)
        self.assertIn(1, layout.columns)
        self.assertLessEqual(sum(layout.widths) + 3 * (len(layout.widths) - 1) + 2, width)
        for row in layout.rows:
            for cell, wide in zip(row, layout.widths, strict=True):
                self.assertTrue(all(cell_len(word) <= wide for word in cell.split()), (cell, wide))


class NextHopTests(SynchronousTestCase):
    """The next hops of a route, as ``destconfig`` and ``hoststatus`` show them."""

    def test_hoststatus(self) -> None:
        """A destination with a route shows where it leads, and not MX records that nobody asks; others show these."""
        host = {
            "domain": "a.example", "at": 0.0, "state": "up", "suspended": False, "delivered": 0, "soft_bounced": 0, "hard_bounced": 0,
            "refused_by_policy": 0, "active": 0, "connections": 0, "last_activity": 0.0, "last_5xx": "", "last_5xx_at": 0.0,
            "last_failure": "", "last_failure_at": 0.0, "mx": {"secure": False, "ttl": 300, "failure": "", "records": []},
        }  # fmt: skip
        hops = {"hosts": [{"host": "unix:/run/lmtp", "port": 0, "preference": 0}]}
        for route, shown in (
            (
                {"domain": ".example", "use_dns": False, **hops},
                "SMTP route of .example, instead of MX records: unix:/run/lmtp",
            ),
            ({"domain": "ALL", "use_dns": False, "hosts": []}, "SMTP route of ALL, instead of MX records: /dev/null"),
            ({"domain": ".example", "use_dns": True, "hosts": []}, "MX Records:"),
            (None, "MX Records:"),
        ):
            gateway = mock.Mock()
            gateway.get = lambda path, route=route, **_: {"/v1/host": host, "/v1/destination": {"route": route}}[path]
            with mock.patch.object(CommandContext, "gateway", lambda *_, gateway=gateway: gateway):
                result = CliRunner().invoke(main, ["hoststatus", "a.example"])
            self.assertIn(shown, result.output)
            self.assertEqual("MX Records:" in result.output, shown == "MX Records:")

    def test_forms(self) -> None:
        """A unix socket has no port; an IPv6 address has brackets, as a route wants them."""
        from seg.cli.destconfig_show import next_hops

        for host, port, shown in (
            ("unix:/run/lmtp", 0, "unix:/run/lmtp"),
            ("mx.example", 25, "mx.example:25"),
            ("192.0.2.1", 2525, "192.0.2.1:2525"),
            ("2001:db8::1", 25, "[2001:db8::1]:25"),
        ):
            route = {"use_dns": False, "hosts": [{"host": host, "port": port, "preference": 0}]}
            self.assertEqual(next_hops(route), shown)
