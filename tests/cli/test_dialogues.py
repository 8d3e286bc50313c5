"""What the verbs ask at a terminal, and what they then have done."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from seg.cli.main import CommandContext, main


class Gateway:
    """One message waits; notes what it is to do."""

    def __init__(self, total: int = 1) -> None:
        self.total = total
        self.asked: list[dict[str, object]] = []
        self.done: list[tuple[str, dict[str, object]]] = []

    def get(self, path: str, **query: object) -> Any:
        """The message, and nothing behind it."""
        self.asked.append(query)
        found = [{"mid": 1}] if self.total and not query.get("after") and query.get("limit") else []
        return {"total": self.total, "messages": found}

    def post(self, path: str, **body: Any) -> Any:
        """As it was wanted."""
        self.done.append((path, body))
        return {"done": body.get("mids", []), "refused": {}}


class DialogueCase(SynchronousTestCase):
    """Somebody sits at a terminal."""

    def ask(self, gateway: Any, words: Sequence[str], *answers: str) -> Result:
        """Run a verb, and answer."""
        with (
            mock.patch.object(CommandContext, "gateway", lambda *_: gateway),
            mock.patch(f"seg.cli.{self.module}.can_ask", lambda: True),
            mock.patch("seg.cli.dialogue.can_ask", lambda: True),
        ):
            return CliRunner().invoke(main, list(words), input="".join(f"{answer}\n" for answer in answers))

    module = ""  # of the verb: imported first, so that it keeps the real one


class DeliverNowTests(DialogueCase):
    """``seg delivernow``."""

    module = "delivery"

    def test_by_domain(self) -> None:
        """1 asks for the domain, until there is one."""
        gateway = Gateway()
        result = self.ask(gateway, ["delivernow"], "1", "", "one.example")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("1. By recipient domain\n2. All messages\n[1]> ", result.output)
        self.assertIn("A domain is needed.", result.output)
        self.assertEqual([query.get("domain") for query in gateway.asked], ["one.example"])  # one search is enough
        self.assertEqual(gateway.done, [("/v1/messages", {"action": "retry", "mids": [1]})])

    def test_all(self) -> None:
        """2 is all messages."""
        gateway = Gateway()
        result = self.ask(gateway, ["delivernow"], "2")
        self.assertTrue(result.output.endswith("1 message is due now.\n"), result.output)
        self.assertEqual([query.get("domain") for query in gateway.asked], [None])

    def test_without_terminal(self) -> None:
        """A script has to say which."""
        for words in (["delivernow"], ["delivernow", "--domain", "x", "--all"]):
            result = CliRunner().invoke(main, words)
            self.assertEqual(result.exit_code, 2, repr(result))
            self.assertIn("say --domain DOMAIN, or --all", result.output)


class RedirectTests(DialogueCase):
    """``seg redirectrecipients``."""

    module = "redirect"

    def test_all(self) -> None:
        """It asks for the host, warns, and asks again with the number of messages."""
        gateway = Gateway()
        result = self.ask(gateway, ["redirectrecipients"], "", "standby.example", "y", "y")
        self.assertEqual(result.exit_code, 0, result.output)
        for text in (
            "the machine you want to send all mail to.\n[]> A host is needed.\n",
            "WARNING: ",
            'Are you sure you want to redirect all mail in the queue to "standby.example"? [N]> ',
            "Are you sure you want to redirect 1 message to standby.example? [N]> 1 message redirected.\n",
        ):
            self.assertIn(text, result.output)
        wanted = {"action": "redirect", "mids": [1], "host": "standby.example"}
        self.assertEqual(gateway.done, [("/v1/messages", wanted)])

    def test_no(self) -> None:
        """Either question can be answered with no."""
        for answers in (("h.example", ""), ("h.example", "y", "")):
            gateway = Gateway()
            self.assertEqual(self.ask(gateway, ["redirectrecipients"], *answers).exit_code, 1)
            self.assertEqual(gateway.done, [])

    def test_some(self) -> None:
        """One destination, or one sender, is asked about once, and of a message only the recipients at the destination go."""
        gateway = Gateway()
        words = ["redirectrecipients", "--host", "h.example", "--domain", "one.example"]
        result = self.ask(gateway, words, "y")
        self.assertNotIn("WARNING", result.output)
        wanted = {"action": "redirect", "mids": [1], "host": "h.example", "recipients_at": "one.example"}
        self.assertEqual(gateway.done, [("/v1/messages", wanted)])
        result = self.ask(gateway, ["redirectrecipients", "--host", "", "--sender", ""], "y")
        self.assertTrue(result.output.endswith("1 message by the own route again.\n"), result.output)
        self.assertEqual(gateway.done[1][1], {"action": "redirect", "mids": [1], "host": ""})
        result = self.ask(gateway, ["redirectrecipients", "--host", "h", "--sender", "", "--domain", "x"])
        self.assertIn("say one of --domain, --sender", result.output)

    def test_refused(self) -> None:
        """What went meanwhile is told."""
        gateway = Gateway()
        with mock.patch.object(gateway, "post", lambda *_, **__: {"done": [], "refused": {"1": "isn't in the queue"}}):
            result = self.ask(gateway, ["redirectrecipients", "--normal", "--yes"])
        self.assertIn("MID 1: isn't in the queue", result.output)


class PausableGateway:
    """Its work queue can be paused."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {
            "at": 0.0,
            "paused": None,
            "not_written": "",
            "pending": 2,
            "entered": 5,
            "left": 3,
            "queued": 7,
        }

    def get(self, path: str) -> Any:
        """How it is."""
        return self.facts

    def post(self, path: str, pause: str = "", resume: bool = False) -> Any:
        """As it is now."""
        self.facts["paused"] = {"reason": pause, "by": "root", "since": time.time()} if pause else None
        return self.facts


class WorkQueueTests(DialogueCase):
    """``seg workqueue``."""

    module = "workqueue"

    def test_menu(self) -> None:
        """It says how it is, and what can be done; a pause wants a reason."""
        gateway = PausableGateway()
        result = self.ask(gateway, ["workqueue"], "pause", "", "too much")
        self.assertEqual(result.exit_code, 0, result.output)
        for text in (
            "Status:        Operational\nMessages:      2 with the filters or being written, 7 queued\n",
            "- PAUSE - Pause the work queue\n",
            "A reason is needed.",
            "Paused by root 0 s ago: too much\n",
        ):
            self.assertIn(text, result.output)
        result = self.ask(gateway, ["workqueue"], "resume")
        self.assertTrue(result.output.endswith("7 queued\n"))
        self.assertIsNone(gateway.facts["paused"])
        self.assertEqual(self.ask(gateway, ["workqueue"], "status").output.count("Operational"), 2)
        self.assertEqual(self.ask(gateway, ["workqueue"], "").exit_code, 0)

    def test_rate(self) -> None:
        """A line now, and one in ten seconds, until Ctrl-C."""
        with mock.patch("time.sleep", side_effect=KeyboardInterrupt) as sleep:
            result = self.ask(PausableGateway(), ["workqueue"], "rate")
        sleep.assert_called_once_with(10)
        self.assertRegex(result.output, r"Time +Pending +In +Out +Queue\n.* 2 +0 +0 +7\n")

    def test_reason(self) -> None:
        """The verb asks for it, too."""
        result = self.ask(PausableGateway(), ["workqueue", "pause"], "too much")
        self.assertIn("Paused by root", result.output)


class AskedTests(DialogueCase):
    """What a verb can't do without."""

    module = "options"

    def setUp(self) -> None:
        """The verbs' modules are imported now, so that they keep the real functions."""
        for name in ("certconfig", "check", "delivery", "destconfig", "messages", "queue"):
            importlib.import_module(f"seg.cli.{name}")

    def test_asked(self) -> None:
        """It is asked for, in the words that administrators know, until there is an answer."""
        for words, question, answer, path in (
            (["hoststatus"], "Recipient host:\n[]> ", "one.example", "/v1/host"),
            (["queue", "why"], "Enter the MID of the message:\n[]> ", "17", "/v1/messages/17/why"),
            (["showmessage"], "Enter the MID of the message:\n[]> ", "17", "/v1/messages/17/content"),
            (["destconfig", "detail"], "Enter the domain:\n[]> ", "one.example", "/v1/destination"),
        ):
            paths: list[str] = []
            gateway = mock.Mock()
            gateway.get = mock.Mock(side_effect=lambda path, seen=paths, **query: seen.append(path) or 1 / 0)
            result = self.ask(gateway, words, "", answer)
            self.assertEqual(result.output, f"{question}An answer is needed (Ctrl-C leaves).\n{question}")
            self.assertEqual(paths, [path])

    def test_not_what_is_wanted(self) -> None:
        """An answer that can't be is told as if it had been typed behind the verb."""
        result = self.ask(mock.Mock(), ["queue", "show"], "seventeen")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("'seventeen' is not a valid integer", result.output)

    def test_script(self) -> None:
        """A script hears what is missing, and is asked nothing."""
        result = CliRunner().invoke(main, ["explain"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("Missing argument 'DOMAIN'", result.output)

    def test_left_out(self) -> None:
        """What may be left out is asked for only together with the rest, and needs no answer."""
        self.patch(sys.modules["seg.cli.options"], "can_ask", lambda: True)
        words = ["--config", "/nowhere", "certconfig"]
        result = self.ask(mock.Mock(), words, "check", "/nowhere.pem", "")
        self.assertIn(
            "Enter the PEM file of its private key (in the certificate's file: nothing):\n[]> ", result.output
        )
        self.assertIn("! /nowhere.pem: can't be read", result.output)
        result = self.ask(mock.Mock(), [*words, "check", "/nowhere.pem"])
        self.assertNotIn("[]>", result.output)
        self.assertEqual(result.exit_code, 1)
