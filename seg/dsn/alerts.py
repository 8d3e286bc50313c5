"""Tells the postmaster when TLS that is required fails, where the destination's ``tls_alert`` wants it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from seg.common.bounded import BoundedMap
from seg.common.windows import TimeWindow
from seg.dsn.fields import printable
from seg.dsn.postmaster_mail import PostmasterMail
from seg.events.base import IEventSink
from seg.events.delivery import TLSAlert
from seg.events.gateway import Fault
from seg.mail.address import domain_of

INTERVAL = 3600.0  # seconds in which a destination is told of once
LETTERS = 20  # in an hour, whatever the number of destinations; the log tells of all
MOST = 10_000  # destinations remembered; then those told of longest ago are forgotten


@attrs.define
class _LastAlert:
    at: float
    since: int = 0  # failures after it


class TLSAlerts:
    """A Warning in the mail log and a message to the postmaster, at most once an hour for a destination.

    :param seconds: the present time, to measure by.
    """

    def __init__(self, mail: PostmasterMail, sink: IEventSink, seconds: Callable[[], float]) -> None:
        self._mail = mail
        self._sink = sink
        self._seconds = seconds
        self._told: BoundedMap[str, _LastAlert] = BoundedMap(MOST)
        self._letters: TimeWindow[str] = TimeWindow()  # those of the last hour, by destination

    def failed(self, domain: str, host: str, text: str) -> None:
        """TLS that is required for a destination failed at a host."""
        now = self._seconds()
        told = self._told.get(domain)
        if told is not None and now - told.at < INTERVAL:
            told.since += 1
            return
        since = told.since if told is not None else 0
        self._told[domain] = _LastAlert(now)
        self._sink.emit(TLSAlert(domain, host, text, since))
        if domain != domain_of(self._mail.postmaster) and self._may_write(
            domain, now
        ):  # else that message would fail too
            subject = f"Required TLS to {printable(domain)} fails"
            sending = self._mail.send(
                subject, self._paragraphs(printable(domain), printable(host), printable(text), since)
            )
            Deferred.fromCoroutine(sending).addErrback(self._not_sent, domain)

    def _may_write(self, domain: str, now: float) -> bool:
        if len(self._letters.since(now - INTERVAL)) >= LETTERS:
            return False
        self._letters.append((now, domain))
        return True

    def _paragraphs(self, domain: str, host: str, text: str, since: int) -> list[str]:
        paragraphs = [
            f"The mail gateway {self._mail.hostname} can't send to {domain}, because TLS is required there and fails.",
            f"Host {host}: {text}",
            "Mail to this destination waits in the queue, is tried again, and is returned to its senders when it has waited too long.",
            f"What is wrong now, and what to do: seg explain {domain}",
        ]
        if since:
            paragraphs.insert(2, f"Since the last alert, about an hour ago or more, it failed {since} more times.")
        if len(self._letters) == LETTERS:
            paragraphs.append(
                f"This is the last of {LETTERS} such messages in an hour: other destinations that fail are told of in the mail log "
                'only (seg grep "TLS alert").'
            )
        paragraphs.append(
            "The next alert on this destination comes in an hour at the earliest. (tls_alert in destinations.toml)"
        )
        return paragraphs

    def _not_sent(self, failure: Failure, domain: str) -> None:
        self._sink.emit(Fault(f"alert on {domain} could not be queued: {failure.getErrorMessage()}"))
