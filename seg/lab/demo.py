"""Runs the cases on a small internet with the real gateway, one by one, and tells what comes of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from twisted.internet.interfaces import IReactorCore, IReactorProcess, IReactorTime
from twisted.internet.task import deferLater

from seg.lab.arrivals import ReceivedMessage
from seg.lab.cases import SENDER, SENDER_DOMAIN, Case, ExpectedOutcome
from seg.lab.findings import CaseResult, find, mid_of, outcome_of
from seg.lab.gateway import GatewayProcess, LabGatewayError
from seg.lab.internet import Internet
from seg.lab.world import MX

LOOK = 0.03  # seconds between two looks at the log
CASE_TIME = 12.0  # seconds in which a case has to settle
FIRST_RETRY = 6.0  # seconds; long enough for all cases to be begun before the first is tried again


class DemoListener(Protocol):
    """Who is told what happens, while it happens."""

    def begins(self, case: Case, number: int, total: int) -> None:
        """A message for a case is handed in now."""

    def line(self, text: str) -> None:
        """The gateway wrote a line into its mail log."""

    def settled(self, finding: CaseResult) -> None:
        """It's clear what came of a case."""

    def waits(self, case: Case, mid: int) -> None:
        """A case needs the second try, which is waited for now."""

    def message(self, message: ReceivedMessage) -> None:
        """A receiver took a message (told by `Demonstration.follow` only)."""

    def report(self, message: ReceivedMessage) -> None:
        """A report of non-delivery arrived at the sender's."""


class Demonstration:
    """`set_up`, `run`, `stop`. The internet and the gateway may be used in between."""

    def __init__(self, reactor: IReactorCore, folder: Path, cases: Sequence[Case], audience: DemoListener) -> None:
        """:param folder: for certificates, configuration and log (made if need be)."""
        self.reactor = reactor
        self.folder = folder
        self.cases = tuple(cases)
        self._audience = audience
        self._clock = IReactorTime(reactor)
        self._lines = 0
        self._messages = 0
        self.internet: Internet | None = None
        self.gateway: GatewayProcess | None = None

    async def set_up(self) -> tuple[Internet, GatewayProcess]:
        """Start the internet and the gateway in it.

        :raises seg.lab.internet.NoLoopbackError: this machine can't do it.
        :raises GatewayError: the gateway didn't start.
        """
        self.internet = internet = await Internet.start(self.reactor, self.folder)
        await internet.add_domain(SENDER_DOMAIN)
        profiles = {}
        routes = {}
        for case in self.cases:
            await self._build(internet, case)
            if case.profile:
                profiles[case.domain] = case.profile
            if case.route:
                await internet.add_receiver(MX(case.route))
                routes[case.domain] = [f"{case.route}:{internet.port}"]
        settings = {"queue": {"first_retry": FIRST_RETRY}}
        files = internet.gateway_configuration(settings=settings, profiles=profiles, routes=routes)
        self.gateway = GatewayProcess(IReactorProcess(self.reactor), self.folder / "gateway", files)
        await self.gateway.start()
        return internet, self.gateway

    async def stop(self) -> None:
        """End the gateway and close every server; harmless at any time.

        :raises GatewayError: the gateway had to be killed.
        """
        try:
            if self.gateway is not None:
                await self.gateway.stop()
        finally:
            if self.internet is not None:
                await self.internet.stop()

    async def run(self) -> list[CaseResult]:
        """Send one message for each case, and find what comes of it.

        :raises GatewayError: the gateway ended.
        """
        findings: dict[str, CaseResult] = {}
        self._tell_lines()
        for number, case in enumerate(self.cases, start=1):
            self._audience.begins(case, number, len(self.cases))
            await self._begin(case)
            await self._until_settled(case, second_try=False)
            if case.outcome is not ExpectedOutcome.DELAYED_THEN_DELIVERED:
                findings[case.name] = self._conclude(case)
        for case in self.cases:
            if case.name not in findings:
                self._audience.waits(case, mid_of(self._running()[1].events(), case.recipient))
                await self._until_settled(case, second_try=True)
                findings[case.name] = self._conclude(case)
        self._messages = len(self._running()[0].arrivals.messages)
        return [findings[case.name] for case in self.cases]

    # --- one case ---

    async def _build(self, internet: Internet, case: Case) -> None:
        await internet.add_domain(case.domain, mx=case.mx, policy=case.policy, secure=case.secure, null_mx=case.null_mx)
        if case.lookup_failure is not None:
            for host in case.mx:
                internet.nameserver.fail(internet.tlsa_name(host.host), "TLSA", case.lookup_failure)

    async def _begin(self, case: Case) -> None:
        header = f"From: Alice <{SENDER}>\r\nTo: <{case.recipient}>\r\nSubject: Hello {case.domain}\r\n"
        await self._running()[1].inject(SENDER, case.recipient, f"{header}\r\nHello!\r\n")

    async def _until_settled(self, case: Case, *, second_try: bool) -> None:
        """Wait until the outcome is clear (one that isn't the expected one too), or time is up."""
        end = self._clock.seconds() + CASE_TIME
        while self._clock.seconds() < end and not self._is_settled(case, second_try):
            await deferLater(self._clock, LOOK)
            self._tell_lines()
            if not self._running()[1].running:
                raise LabGatewayError("The gateway ended.\n" + self._running()[1].output())
        await deferLater(self._clock, LOOK)
        self._tell_lines()

    def _is_settled(self, case: Case, second_try: bool) -> bool:
        internet, gateway = self._running()
        events = gateway.events()
        mid = mid_of(events, case.recipient)
        outcome = outcome_of(events, mid)
        if outcome is ExpectedOutcome.BOUNCED:
            reports = internet.messages(SENDER_DOMAIN)
            return any(case.recipient.encode() in report.content for report in reports)
        if outcome is ExpectedOutcome.DEFERRED:
            pending = any(event.matches("recipients_pending", {"mid": mid}) for event in events)
            return pending and not second_try
        return outcome is not ExpectedOutcome.NOTHING

    def _conclude(self, case: Case) -> CaseResult:
        internet, gateway = self._running()
        hosts = [host.host for host in case.mx]
        in_clear = sum(internet.receivers[host].envelopes_in_clear for host in hosts)
        messages = internet.messages(case.domain)
        finding = find(case, gateway.events(), messages, envelopes_in_clear=in_clear, log=gateway.log_lines())
        self._audience.settled(finding)
        if finding.outcome is ExpectedOutcome.BOUNCED:
            for report in internet.messages(SENDER_DOMAIN):
                if case.recipient.encode() in report.content:
                    self._audience.report(report)
        return finding

    def follow(self) -> None:
        """Tell what is new since the last look: for use after `run`.

        :raises GatewayError: the gateway ended.
        """
        internet, gateway = self._running()
        self._tell_lines()
        for message in internet.arrivals.messages[self._messages :]:
            if message.is_for(SENDER_DOMAIN):
                self._audience.report(message)
            else:
                self._audience.message(message)
        self._messages = len(internet.arrivals.messages)
        if not gateway.running:
            raise LabGatewayError("The gateway ended.\n" + gateway.output())

    def _tell_lines(self) -> None:
        lines = self._running()[1].log_lines()
        for line in lines[self._lines :]:
            self._audience.line(line)
        self._lines = len(lines)

    def _running(self) -> tuple[Internet, GatewayProcess]:
        if self.internet is None or self.gateway is None:
            raise LabGatewayError("The gateway wasn't started.")
        return self.internet, self.gateway
