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

from seg.admin.api import AdminAPI
from seg.admin.checks import ChecksAPI
from seg.admin.delivery import DeliveryAPI
from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.destinations import DestinationsAPI
from seg.admin.dialogues import DialoguesAPI
from seg.admin.http import APIError, APIRequest
from seg.admin.suspension import Suspension
from seg.config.syntax import parse_domain, parse_pattern
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
        nothing.listener_names.return_value = ("relay",)
        clock = Clock()
        statistics = DestinationStatistics(clock.seconds)
        self.delivery = DeliveryAPI(nothing, statistics, self.suspension, nothing, nothing, nothing, clock.seconds)
        self.queue = AdminAPI(nothing, nothing, nothing, nothing, nothing, nothing)
        self.destinations = DestinationsAPI(nothing, clock.seconds)
        self.checks = ChecksAPI(nothing)
        self.dialogues = DialoguesAPI(nothing, nothing)

    def ask(self, answer: Coroutine[Any, Any, object]) -> object:
        return self.successResultOf(Deferred.fromCoroutine(answer))

    def refusal(self, answer: Coroutine[Any, Any, object]) -> APIError:
        failure = self.failureResultOf(Deferred.fromCoroutine(answer), APIError)
        error: APIError = failure.value
        return error

    def suspend(self, **body: list[str]) -> Coroutine[Any, Any, object]:
        return self.delivery.suspend(APIRequest({}, {}, body, "x"))

    def test_nearest(self) -> None:
        """A name that can't be right is refused with the nearest one that is."""
        for text, near in (WRONG | {text: (near, near) for text, near in ADDRESSES.items()}).items():
            for parse, wanted in zip((parse_domain, parse_pattern), near, strict=True):
                error = str(self.assertRaises(ValueError, parse, text))
                self.assertTrue(error.endswith(f"; did you mean {wanted}?") if wanted else "mean" not in error, error)
        self.assertIn("did you mean example.org?", str(self.assertRaises(ValueError, parse_domain, ".example.org")))

    def test_every_command(self) -> None:
        """Whatever takes a domain refuses what is none, before it does anything."""
        for text in WRONG:
            body, query = {"domain": text}, {"domain": text}
            for error in (
                self.refusal(self.suspend(suspend=[text])),
                self.refusal(self.suspend(resume=[text])),
                self.refusal(self.delivery.host(APIRequest({}, query, {}, "x"))),
                self.refusal(self.delivery.policies(APIRequest({}, query, {}, "x"))),
                self.refusal(self.delivery.flush_policies(APIRequest({}, {}, body, "x"))),
                self.refusal(self.delivery.flush_dns(APIRequest({}, {}, {"name": text}, "x"))),
                self.refusal(self.destinations.one(APIRequest({}, query, {}, "x"))),
                self.refusal(self.queue.messages(APIRequest({}, query, {}, "x"))),
                self.refusal(self.queue.act(APIRequest({}, {}, {"action": "delete", **body}, "x"))),
                self.refusal(
                    self.queue.act(
                        APIRequest({}, {}, {"action": "redirect", "host": "", "recipients_at": text, "all": True}, "x")
                    )
                ),
                self.refusal(self.checks.check(APIRequest({}, {}, {"kind": "dane", **body}, "x"))),
                self.refusal(self.dialogues.watch(APIRequest({}, {}, body, "x"))),
            ):
                self.assertEqual(error.status, 400, text)
        self.assertEqual(self.suspension.now.domains, frozenset())

    def test_suspended(self) -> None:
        """A name holds back its destination however it is written, and .example all below, as in destinations.toml."""
        self.ask(self.suspend(suspend=["Bücher.EXAMPLE.", ".sub.example", "[192.0.2.1]"]))
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
        self.ask(self.suspend(resume=["u@odd", ".example"]))
        self.assertEqual(self.suspension.now.domains, frozenset())

    def test_what_is_there(self) -> None:
        """A destination that some client made up is found in the queue by the name it has."""
        self.assertEqual(
            self.ask(self.queue.messages(APIRequest({}, {"domain": "1"}, {}, "x"))), {"total": 0, "messages": []}
        )
