"""How long our own certificates last, told before they end and while they are out of date."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs
from cryptography import x509
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from seg.common.clock import posix
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind, Fault
from seg.tls.chain import date_line
from seg.tls.names import subject_of

SOON = 30 * 86400.0  # seconds before its end from which a certificate is told of
DAY = 86400.0
INTERVAL = 60.0  # seconds between two looks at what is in use; nothing is read for it


@attrs.frozen
class Presented:
    """A certificate that we show to peers, with its intermediates."""

    file: str
    chain: tuple[x509.Certificate, ...]  # our own first

    def first_to_end(self) -> x509.Certificate:
        """The one of the chain that ends first: peers refuse all of it then."""
        return min(self.chain, key=lambda each: each.not_valid_after_utc)


class Presenting(Protocol):
    """What shows certificates to peers."""

    @property
    def presented(self) -> Sequence[Presented]:
        """Those that it shows now."""


@attrs.frozen
class Lasting:
    """How long one lasts."""

    used_by: str  # "listener relay", "servers"
    file: str
    subject: str
    not_after: str  # ISO 8601
    seconds_left: float  # negative: it has ended
    fault: str = ""  # why it is out of date now, "" while it isn't

    @property
    def soon(self) -> bool:
        """Whether it should have been renewed."""
        return bool(self.fault) or self.seconds_left < SOON

    def __str__(self) -> str:
        what = f"{self.file} ({self.used_by})"
        if self.fault:
            return f"{what}: {self.fault}; others may refuse it, renew it"
        return f"{what}: certificate {self.subject} ends on {self.not_after[:10]}, in {int(self.seconds_left // DAY)} days; renew it"


class ExpiryWatch:
    """Looks at the certificates in use: a Warning at the start and each day for one that ends within 30 days, a condition for one that is out
    of date.

    :param certificates: those in use now, by who shows them ("listener relay").
    """

    def __init__(
        self, certificates: Callable[[], Mapping[str, Presenting]], clock: IReactorTime, sink: IEventSink
    ) -> None:
        self._certificates = certificates
        self._clock = clock
        self._sink = sink
        self._told: dict[tuple[str, str], float] = {}  # POSIX seconds, by who shows it and its file
        self._outdated: dict[tuple[str, str], Condition] = {}
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin, with a look at once."""
        self._loop.start(INTERVAL)

    def stop(self) -> None:
        """End."""
        if self._loop.running:
            self._loop.stop()

    def lasting(self) -> tuple[Lasting, ...]:
        """Each certificate in use, those that end first first."""
        now = datetime.datetime.fromtimestamp(posix(self._clock), datetime.UTC)
        found = [_lasting(user, each, now) for user, shown in self._certificates().items() for each in shown.presented]
        return tuple(sorted(found, key=lambda each: each.seconds_left))

    def look(self) -> None:
        """Look once."""
        now, found = posix(self._clock), {(each.used_by, each.file): each for each in self.lasting()}
        for place in self._outdated.keys() - {place for place, each in found.items() if each.fault}:
            self._outdated.pop(place).end(f"{place[1]} ({place[0]}): the certificate isn't out of date any more")
        for place, each in found.items():
            if each.fault and place not in self._outdated:
                self._outdated[place] = Condition(self._sink, ConditionKind.CERTIFICATE, f"{each.used_by} {each.file}")
                self._outdated[place].begin(str(each))
                self._told[place] = now
            elif each.soon and not 0 <= now - self._told.get(place, -DAY) < DAY:
                self._told[place] = now
                self._sink.emit(Fault(str(each)))
            elif not each.soon:
                self._told.pop(place, None)


def _lasting(user: str, shown: Presented, now: datetime.datetime) -> Lasting:
    first = shown.first_to_end()
    until = first.not_valid_after_utc
    fault = date_line(first, expired=True) if now > until else ""
    if now < shown.chain[0].not_valid_before_utc:
        fault = date_line(shown.chain[0], expired=False)
    return Lasting(user, shown.file, subject_of(first), until.isoformat(), (until - now).total_seconds(), fault)
