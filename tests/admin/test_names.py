"""Every command that takes a domain looks at the name: it does what was meant, or says what it should have been."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.checks import CheckRoutes
from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.destinations import DestinationEntryRoutes
from seg.admin.dialogues import DialogueRoutes
from seg.admin.dns import DNSRoutes
from seg.admin.hosts import DestinationRoutes
from seg.admin.http import APIError
from seg.admin.messages import MessageRoutes
from seg.admin.policies import PolicyRoutes
from seg.admin.suspension import Suspension
from seg.admin.suspension_routes import SuspensionRoutes
from seg.config.syntax import parse_domain, parse_pattern
from tests.admin.asking import ask
from tests.doubles import RecordingSink

# What somebody may write, the domain that is near it, and the pattern that is: "" where nothing is.
WRONG = {
    "*.example.org": ("example.org", ".example.org"),
    "*": ("", ""),
    "rcpt.example:25": ("rcpt.example", "rcpt.example"),
    "localhost:25": ("localhost", "localhost"),
    "smtp://mx.rcpt.example:25/": ("mx.rcpt.example", "mx.rcpt.example"),
    "https://mta-sts.rcpt.example/.well-known/mta-sts.txt": ("mta-sts.rcpt.example", "mta-sts.rcpt.example"),
    "..example": ("example", "example"),
    "192.0.2.1": ("[192.0.2.1]", "[192.0.2.1]"),
    "2001:db8::1": ("[IPv6:2001:db8::1]".lower(), "[IPv6:2001:db8::1]".lower()),
    "a..example": ("", ""),
    "two words": ("", ""),
    "-a.example": ("", ""),
    "a" * 64 + ".example": ("", ""),
    "?": ("", ""),
}
ADDRESSES = {
    "u@rcpt.example": "rcpt.example",
    "@rcpt.example": "rcpt.example",
    "<u@rcpt.example>": "rcpt.example",
    "mailto:u@rcpt.example": "rcpt.example",
}


class NameTests(SynchronousTestCase):
    """The names, the API, and what is suspended."""

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="seg-names-"))
        self.addCleanup(shutil.rmtree, folder, True)
        self.suspension = Suspension(folder / "suspended.json", ["relay"], RecordingSink(), Clock())
        nothing: Any = mock.MagicMock()
        nothing.destinations.return_value = {"1": 1}
        nothing.mids.return_value = ()
        clock = Clock()
        statistics = DestinationStatistics(clock.seconds)
        self.suspending = SuspensionRoutes(self.suspension, lambda: ("relay",), nothing)
        self.hosts = DestinationRoutes(nothing, statistics, self.suspension, nothing, nothing, nothing, clock.seconds)
        self.policies = PolicyRoutes(nothing, nothing, nothing)
        self.dns = DNSRoutes(nothing, nothing, nothing, nothing, nothing, nothing)
        self.queue = MessageRoutes(nothing)
        self.destinations = DestinationEntryRoutes(nothing, clock.seconds)
        self.checks = CheckRoutes(nothing)
        self.dialogues = DialogueRoutes(nothing, nothing)

    def answer(self, answer: Coroutine[Any, Any, object]) -> object:
        return self.successResultOf(Deferred.fromCoroutine(answer))

    def refusal(self, answer: Coroutine[Any, Any, object]) -> APIError:
        failure = self.failureResultOf(Deferred.fromCoroutine(answer), APIError)
        error: APIError = failure.value
        return error

    def suspend(self, **body: list[str]) -> Coroutine[Any, Any, object]:
        return ask(self.suspending, "POST", "/v1/suspension", body=body)

    def test_nearest(self) -> None:
        """A name that can't be right is refused with the nearest one that is."""
        for text, near in (WRONG | {text: (near, near) for text, near in ADDRESSES.items()}).items():
            for parse, wanted in zip((parse_domain, parse_pattern), near, strict=True):
                error = str(self.assertRaises(ValueError, parse, text))
                self.assertTrue(error.endswith(f"; did you mean {wanted}?") if wanted else "mean" not in error, error)
        self.assertIn("did you mean example.org?", str(self.assertRaises(ValueError, parse_domain, ".example.org")))

    def test_every_command(self) -> None:
        """Whatever takes a domain refuses what is none, before it does anything."""
        redirection = {"action": "redirect", "host": "", "all": True}
        for text in WRONG:
            body, query = {"domain": text}, {"domain": text}
            for error in (
                self.refusal(self.suspend(suspend=[text])),
                self.refusal(self.suspend(resume=[text])),
                self.refusal(ask(self.hosts, "GET", "/v1/host", query)),
                self.refusal(ask(self.policies, "GET", "/v1/policies", query)),
                self.refusal(ask(self.policies, "POST", "/v1/policies/flush", body=body)),
                self.refusal(ask(self.dns, "POST", "/v1/dns/flush", body={"name": text})),
                self.refusal(ask(self.destinations, "GET", "/v1/destination", query)),
                self.refusal(ask(self.queue, "GET", "/v1/messages", query)),
                self.refusal(ask(self.queue, "POST", "/v1/messages", body={"action": "delete", **body})),
                self.refusal(ask(self.queue, "POST", "/v1/messages", body={**redirection, "recipients_at": text})),
                self.refusal(ask(self.checks, "POST", "/v1/checks", body={"kind": "dane", **body})),
                self.refusal(ask(self.dialogues, "POST", "/v1/debug", body=body)),
            ):
                self.assertEqual(error.status, 400, text)
        self.assertEqual(self.suspension.now.domains, frozenset())

    def test_suspended(self) -> None:
        """A name holds back its destination however it is written, and .example all below, as in destinations.toml."""
        self.answer(self.suspend(suspend=["Bücher.EXAMPLE.", ".sub.example", "[192.0.2.1]"]))
        for domain, held in (
            ("xn--bcher-kva.example", True),
            ("a.sub.example", True),
            ("a.b.sub.example", True),
            ("sub.example", False),
            ("xsub.example", False),
            ("[192.0.2.1]", True),
            ("other.example", False),
            ("", False),
        ):
            self.assertIs(self.suspension.now.delivery(domain), held, domain)
        for text in (*WRONG, *ADDRESSES):
            self.refusal(self.suspend(suspend=["good.example", text]))
        self.assertFalse(self.suspension.now.delivery("good.example"))

    def test_resumed(self) -> None:
        """What a wider entry holds back isn't said to be resumed; what was written down by an older version is."""
        self.suspension.change(suspend=[".example", "u@odd"])
        error = self.refusal(self.suspend(resume=["rcpt.example"]))
        self.assertEqual(error.status, 409)
        self.assertIn("suspended by .example", str(error))
        self.answer(self.suspend(resume=["u@odd", ".example"]))
        self.assertEqual(self.suspension.now.domains, frozenset())

    def test_what_is_there(self) -> None:
        """A destination that some client made up is found in the queue by the name it has."""
        self.assertEqual(
            self.answer(ask(self.queue, "GET", "/v1/messages", {"domain": "1"})), {"total": 0, "messages": []}
        )
