"""How the demonstration is shown."""

from __future__ import annotations

import contextlib
import io
import json

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from seg.cli.demo import demo
from seg.cli.demo_glossary import explanation_of
from seg.cli.demo_show import Show, as_json
from seg.lab.arrivals import ReceivedMessage
from seg.lab.cases import CASES, ExpectedOutcome, Protection
from seg.lab.findings import CaseResult

GOOD = CaseResult(
    case=CASES[0],
    outcome=ExpectedOutcome.DELIVERED,
    protection=Protection.ENCRYPTED,
    mid=1,
    policy="MTA-STS enforce",
    mx="mx.enforce.example",
    tls="TLSv1.3",
    verified_by="mta-sts",
    why="TLSv1.3 verified by mta-sts",
)
WRONG = CaseResult(
    case=CASES[2],
    outcome=ExpectedOutcome.DELIVERED,
    protection=Protection.CLEAR,
    why="clear text",
    differences=("outcome: expected deferred, found delivered",),
)


class ShowTests(SynchronousTestCase):
    """Texts on standard output."""

    def shown(self, *calls: tuple[str, object]) -> str:
        """What a series of calls prints, on something that isn't a terminal."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            show = Show()
            for name, argument in calls:
                getattr(show, name)(argument)
        return output.getvalue()

    def test_table(self) -> None:
        """The table holds every fact, and the conclusion is that all is well; no colours in a file."""
        text = self.shown(("table", [GOOD]))
        for fact in (
            "enforce.example",
            "MTA-STS enforce",
            "mx.enforce.example",
            "TLSv1.3",
            "mta-sts",
            "delivered",
        ):
            self.assertIn(fact, text)
        self.assertIn("All 1 came out as they have to.", text)
        self.assertNotIn("\x1b", text)

    def test_unexpected(self) -> None:
        """What isn't as expected is marked, and told below the table."""
        text = self.shown(("table", [GOOD, WRONG]))
        self.assertIn("delivered (unexpected)", text)
        self.assertIn("stripped.example is not as expected:", text)
        self.assertIn("! outcome: expected deferred, found delivered", text)
        self.assertNotIn("came out as they have to", text)

    def test_line(self) -> None:
        """A line of the log loses its date, and its like is explained the first time only."""
        line = "Thu Sep 26 15:23:40 2024 Info: New SMTP DCID 5 interface 10.1.1.2 address 10.1.1.3 port 25"
        text = self.shown(("line", line), ("line", line))
        self.assertEqual(text.count("15:23:40 Info: New SMTP DCID 5"), 2)
        self.assertEqual(text.count("^ The gateway connects to the domain's mail server."), 1)

    def test_routine_lines(self) -> None:
        """How a message comes in is shown for the first case only."""
        line = "Thu Sep 26 15:23:40 2024 Info: Start MID 5 ICID 6"
        self.assertIn("Start MID", self.shown(("line", line)))
        self.assertNotIn("Start MID", self.shown(("settled", GOOD), ("line", line)))

    def test_lines_while_waiting(self) -> None:
        """While a second try is waited for, only lines about that message are shown."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            show = Show()
            show.waits(CASES[0], 5)
            show.line("Thu Sep 26 15:23:40 2024 Info: Delivery start DCID 5 MID 6 to RID [0]")
            show.line("Thu Sep 26 15:23:40 2024 Info: Delivery start DCID 6 MID 5 to RID [0]")
        self.assertNotIn("MID 6", output.getvalue())
        self.assertIn("MID 5", output.getvalue())

    def test_hostile_line(self) -> None:
        """Control characters of other hosts don't reach the terminal."""
        text = self.shown(("line", "Thu Sep 26 15:23:40 2024 Info: \x1b[31mred"))
        self.assertNotIn("\x1b", text)
        self.assertIn("\\x1b[31mred", text)

    def test_settled(self) -> None:
        """The result of a case is one line, and its differences follow."""
        self.assertIn("=> delivered, encrypted, server verified by mta-sts", self.shown(("settled", GOOD)))
        self.assertIn("! outcome: expected deferred", self.shown(("settled", WRONG)))

    def test_report(self) -> None:
        """A report of non-delivery shows its subject and its text for people."""
        content = (
            b"Subject: Undelivered\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: text/plain\r\n\r\nIt takes no mail.\r\n--b\r\n"
            b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n--b--\r\n"
        )
        report = ReceivedMessage(
            "mx", "", ("alice@sender.example",), content, "TLSv1.3", "", "", "127.0.0.1", "g", (), 0.0
        )
        text = self.shown(("report", report))
        self.assertIn("| Subject: Undelivered", text)
        self.assertIn("| It takes no mail.", text)

    def test_silent(self) -> None:
        """Nothing is printed when only JSON is wanted."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            show = Show(silent=True)
            show.welcome(3)
            show.table([GOOD])
        self.assertEqual(output.getvalue(), "")

    def test_json(self) -> None:
        """The results for a program say per case what was found, expected and different."""
        found = json.loads(as_json([GOOD, WRONG]))
        self.assertFalse(found["ok"])
        self.assertEqual(found["cases"][0]["case"], "enforce")
        self.assertEqual(found["cases"][0]["verified_by"], "mta-sts")
        self.assertEqual(found["cases"][1]["differences"], ["outcome: expected deferred, found delivered"])

    def test_lines_without_explanation(self) -> None:
        """What speaks for itself isn't explained."""
        self.assertIsNone(explanation_of("Info: DCID 3 close"))


class CommandTests(SynchronousTestCase):
    """The command line."""

    def test_list(self) -> None:
        """All cases with what is special about each."""
        result = CliRunner().invoke(demo, ["--list"])
        self.assertEqual(result.exit_code, 0)
        self.assertEqual(len(result.output.splitlines()), len(CASES))

    def test_unknown_case(self) -> None:
        """A case that doesn't exist is answered with those that do."""
        result = CliRunner().invoke(demo, ["--case", "nothing"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("there is no case 'nothing'; there are ", result.output)
