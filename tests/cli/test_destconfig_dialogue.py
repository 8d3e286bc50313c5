"""What ``seg destconfig`` asks: the sequence that administrators know first, then the rest, in words of a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from unittest import mock

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from seg.cli import destconfig_dialogue as dialogue
from seg.cli.client import GatewayError
from seg.cli.destconfig_further import FURTHER, QUESTION
from seg.cli.staged import Edit
from seg.config.destinations import Profile
from seg.config.values import specs

# The questions of ../shared/spec/outbound-mta-sts.md §4 and operator-interface.md §1.6, in their order.
SPECIFIED = (
    "Do you wish to configure a specific IP address preference for a.example? [N]> ",
    "Do you wish to configure a concurrency limit for a.example? [Y]> ",
    'Enter the max concurrency limit for "a.example".\n[500]> ',
    "Do you wish to apply a messages-per-connection limit to this domain? [N]> ",
    "Do you wish to apply a recipient limit to this domain? [N]> ",
    "Select how you want to apply the limits for a.example:\n",
    "Do you wish to apply a specific TLS setting for this domain? [N]> ",
    "Do you want to use TLS support?\n",
    dialogue.CERTIFICATE_ADVICE,
    "Do you wish to configure DANE support? [N]> ",
    "Do you wish to configure MTA STS support? [N]> ",
    "Do you want to use MTA STS support?\n",
    dialogue.ROUTES_ADVICE,
    "Do you wish to apply a specific bounce profile to this domain? [N]> ",
    f"{QUESTION} [N]> ",
)
TO_TLS = ("", "", "", "", "", "", "y", "6")
NO_TO_TLS = ("", "n", "", "", "")  # of an entry that is there, without limits


class Bench:
    """An operator's changes, and what checks find."""

    def __init__(self, entries: dict[str, Any] | None = None, result: str = "pass") -> None:
        self.entries = entries or {}
        self.result = result
        self.edits: list[Edit] = []
        self.checked: list[tuple[str, str]] = []

    def table(self, file: str, name: str) -> dict[str, Any]:
        """What a table says."""
        return self.entries if name == "destination" else {}

    def stage(self, edits: Sequence[Edit], as_json: bool = False) -> None:
        """Note them."""
        self.edits += edits

    def check(self, kind: str, domain: str) -> dict[str, Any]:
        """As the test wants it."""
        self.checked.append((kind, domain))
        if self.result == "error":
            raise GatewayError("as many checks are running as may be")
        return {"result": self.result}


class DialogueTests(SynchronousTestCase):
    """NEW and EDIT."""

    def ask(self, bench: Bench, verb: str, *answers: str) -> str:
        """What is asked, with these answers."""
        doing = {"new": dialogue.new_entry, "edit": dialogue.edit_entry}[verb]

        @click.command()
        def command() -> None:
            with (
                mock.patch("seg.cli.check_text.sts_lines", lambda document: ["what was found of MTA-STS"]),
                mock.patch("seg.cli.check_text.dane_lines", lambda document: ["what was found of DANE"]),
            ):
                doing(bench, "a.example")  # type: ignore[arg-type]

        result = CliRunner().invoke(command, input="".join(f"{answer}\n" for answer in answers))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    def staged(self, bench: Bench) -> Any:
        """The entry."""
        (edit,) = bench.edits
        return edit["value"]

    def test_specified_first(self) -> None:
        """The specified questions come in their sequence; everything else stands behind them."""
        bench = Bench()
        output = self.ask(bench, "new", *TO_TLS, "", "y", "2", "", "", "")
        at = [output.index(text) for text in SPECIFIED]
        self.assertEqual(at, sorted(at))
        asked = [line for line in output[: at[-1]].replace("> ", "> \n").splitlines() if line.endswith("[N]> ")]
        self.assertEqual([f"{line}" for line in asked if line not in SPECIFIED], [])
        self.assertEqual(self.staged(bench)["mta_sts"], "on")

    def test_every_key(self) -> None:
        """Each key of a profile can be answered, and no question has the name of a key in it."""
        bench = Bench()
        answers = (
            "y",
            "2",
            "y",
            "20",
            "y",
            "5",
            "y",
            "30",
            "100",
            "2",
            "y",
            "3",
            "y",
            "2",
            "y",
            "2",
            "y",
            "patient",
            "y",
        )
        further = (
            "y",
            "2",
            "y",
            "192.0.2.1",
            "y",
            "x",
            "2001:db8::1",
            "y",
            "mx.example.org",
            "y",
            "/c.pem",
            "/k.pem",
            "y",
            "y",
        )
        output = self.ask(bench, "new", *answers, *further, "y", "soon", "2099-12-31", "ticket 7", "", "")
        values = self.staged(bench)
        self.assertEqual(set(values), {*specs(Profile), "exemption"})
        self.assertEqual(values["dane_opportunistic_failure"], "fall-through")
        self.assertEqual(values["exemption"], {"until": {"$toml": "2099-12-31"}, "reason": "ticket 7"})
        self.assertIn('"x" is not an IP address', output)
        self.assertIn("wants a date such as", output)
        for key in (key for key in specs(Profile) if "_" in key):
            self.assertNotIn(key, output)
            self.assertNotIn(key.replace("_", " "), output[output.index(QUESTION) :])

    def test_kept(self) -> None:
        """An edit that doesn't go into the further settings keeps them, an exemption too."""
        kept = {
            "source_address": "192.0.2.1",
            "dane_opportunistic_failure": "defer",
            "tls_alert": True,
            "exemption": {"until": date(2099, 12, 31), "reason": "ticket 7"},
        }
        bench = Bench({"a.example": {"tls": "required", **kept}})
        self.ask(bench, "edit", *NO_TO_TLS, "", "", "", "", "", "")
        exemption = {"until": {"$toml": "2099-12-31"}, "reason": "ticket 7"}
        self.assertEqual(self.staged(bench), {"tls": "required", **kept, "exemption": exemption})
        self.assertLessEqual({key for key in kept if key != "exemption"}, FURTHER)

    def test_exemption(self) -> None:
        """An exemption is asked for; what it has is offered, and no takes it away."""
        stated = {"exemption": {"until": date(2099, 12, 31), "reason": "ticket 7"}}
        for answers, wanted in (
            (("", "2100-01-01", ""), {"exemption": {"until": {"$toml": "2100-01-01"}, "reason": "ticket 7"}}),
            (("n",), {}),
        ):
            bench = Bench({"a.example": stated})
            output = self.ask(bench, "edit", *NO_TO_TLS, "", "", "", "y", "", "", "", "", "", "", *answers)
            self.assertIn("for a while? [Y]> ", output)
            self.assertEqual(self.staged(bench), wanted)

    def test_verify(self) -> None:
        """Where DANE or MTA-STS is switched on a look is offered before anything is staged; what doesn't hold asks again."""
        on = (*TO_TLS, "y", "2", "y", "2", "", "")
        for result, answers, checked, staged in (
            ("pass", ("", ""), [], True),
            ("pass", ("y", "y"), ["dane", "mta-sts"], True),
            ("none", ("n", "y"), ["mta-sts"], True),
            ("fail", ("y", ""), ["dane"], False),
            ("fail", ("y", "y", "n"), ["dane"], True),
            ("error", ("n", "y", ""), ["mta-sts"], False),
        ):
            bench = Bench(result=result)
            output = self.ask(bench, "new", *on, *answers)
            self.assertEqual([kind for kind, _ in bench.checked], checked, (result, answers))
            self.assertEqual(bool(bench.edits), staged, output)
            self.assertEqual("what was found" in output, bool(checked) and result != "error")
        bench = Bench({"a.example": {"tls": "required", "mta_sts": "on"}})
        self.assertNotIn("verify", self.ask(bench, "edit", *NO_TO_TLS, "", "", "", "", "", "", ""))
