"""One whole attempt in a small internet of real servers: everything between the queue and the wire, in this process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from seg.config.destinations import Destinations
from seg.config.load import parse_destinations, parse_settings
from seg.deliver.assembly import build_delivery, build_shared
from seg.deliver.attempt import Attempt
from seg.events.delivery import PolicyExplained
from seg.events.runtime import Runtime
from seg.lab.internet import Internet
from seg.mail.envelope import Envelope, Recipient
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.policy.assembly import build_lookups
from seg.queue.interfaces import Lease
from seg.tls.roots import load_roots
from tests.doubles import CountingCounters, MemoryContent, RecordingSink

CONTENT = b"Subject: case\r\n\r\n.a line\r\n"


class CaseTest(TestCase):
    """Add domains to `internet`, then `attempt` to send to one."""

    timeout = 60

    async def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-case-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.internet = await Internet.start(reactor, self.folder / "internet")  # type: ignore[arg-type]
        self.addCleanup(self.internet.stop)
        self.sink = RecordingSink()
        self.mid = 0
        self.wishes: dict[str, Any] = {}  # of the envelopes to be sent

    def open(self, **configuration: Any) -> None:
        """Wire a gateway; keywords as in `Internet.gateway_configuration`."""
        files = self.internet.gateway_configuration(**configuration)
        settings = parse_settings(
            f'{files.seg_toml}\n[log]\nlevel = "debug"\n'.replace("[gateway]", f'[gateway]\nvar = "{self.folder}"')
        )
        self.destinations: Destinations = parse_destinations(files.destinations_toml)
        roots = load_roots(settings.tls.ca_file, "")
        runtime = Runtime(reactor, self.sink, "gateway.lab.example")
        lookups = build_lookups(runtime, settings, roots)
        self.lookups = lookups
        shared, ids = build_shared(runtime), CountingCounters()
        services = build_delivery(runtime, settings, lambda: self.destinations, lookups, ids, shared)
        self.delivery, self.pool = services, services.pool
        self.addCleanup(self._close)

    async def _close(self) -> None:
        await self.pool.close()
        await self.lookups.policies.cache.flushed()

    async def attempt(self, domain: str, *, sender: str = "alice@sender.example", content: bytes = CONTENT) -> Outcome:
        """What becomes of a message to one recipient there."""
        attempt = self.begin(domain, sender=sender, content=content)
        await attempt.run()
        return attempt.outcomes[0]

    def begin(self, domain: str, *, sender: str = "alice@sender.example", content: bytes = CONTENT) -> Attempt:
        """An attempt that is to be run, for a message to one recipient there."""
        self.mid += 1
        recipient = Recipient(0, f"bob@{domain}")
        envelope = Envelope(self.mid, sender, (recipient,), 0.0, size=len(content), **self.wishes)
        return self.delivery.attempt(Lease(envelope, domain, (recipient,), MemoryContent(content)))

    async def attempts(self, *domains: str) -> list[Outcome]:
        """Several at a time."""
        outcomes: list[Outcome] = await gatherResults([Deferred.fromCoroutine(self.attempt(name)) for name in domains])
        return outcomes

    # --- what came of it ---

    def assert_delivered(self, outcome: Outcome, domain: str, *, host: str = "", tls: bool | None = None) -> None:
        """It arrived, once, at this host."""
        self.assertIsInstance(outcome, Delivered, str(outcome))
        (message,) = self.internet.messages(domain)
        if host:
            self.assertEqual(message.host, host)
        if tls is not None:
            self.assertEqual(bool(message.tls), tls)

    def assert_delayed(self, outcome: Outcome, domain: str, enhanced: str, *words: str) -> None:
        """It waits, nothing arrived, and no part of an envelope went in clear text."""
        assert isinstance(outcome, Delayed), outcome
        self.assertEqual(outcome.error.enhanced, enhanced, outcome.error)
        for word in words:
            self.assertIn(word, outcome.error.text)
        self.assertEqual(self.internet.messages(domain), [])
        for receiver in self.internet.domains[domain].receivers:
            self.assertEqual(receiver.envelopes_in_clear, 0)

    def assert_bounced(self, outcome: Outcome, enhanced: str) -> None:
        """It failed for good."""
        assert isinstance(outcome, Bounced), outcome
        self.assertEqual(outcome.error.enhanced, enhanced)

    def explained(self, domain: str) -> list[str]:
        """The lines of explanation for a domain: ``host: provider=word ... -> outcome``."""
        return [
            f"{e.host}: {' '.join(f'{name}={said}' for name, said in e.opinions)} -> {e.outcome}"
            for e in self.sink.of(PolicyExplained)
            if e.domain == domain
        ]
