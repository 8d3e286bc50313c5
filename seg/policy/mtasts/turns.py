"""Whose turn it is to fetch a policy: so many at a time, shared so that nobody's silence keeps the others waiting.

Whoever sends mail to domains of his own, or has us send reports there, chooses policy hosts, and they may be silent. So there are shares, by
the network of the address that is connected to, by message, and by what is known of the domain; and while others wait, of the turns of a share
only half may be held by slow hosts, and an eighth while more wait than there are turns. Of those who wait the message goes first that has had
the fewest turns, so that one with a thousand domains of slow hosts, tried again and again, keeps nobody else from a host that they share.
A turn that isn't got, or is taken away, is a fault of ours: it tells nothing of the domain.
"""

from __future__ import annotations

import enum
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.common.bounded import BoundedMap
from seg.common.recent import Recent
from seg.common.spread import SpreadCalls
from seg.mail.hosts import IPAddress
from seg.policy.mtasts.errors import FetchFault, OwnFetchFault

PER_NETWORK = 2  # fetches at a time from one network (`network_of`)
MOST_PER_MESSAGE = 20  # fetches at a time for the domains of one message; never more than half of all
MOST_WAITING = 2000
LOOK = 0.25  # seconds between two looks for turns to be taken away, while somebody waits
UNHEARD = 2.0  # seconds without a finished TLS handshake that make a host slow
SLOW = 5.0  # seconds of a whole fetch that make it slow
HURRY = 0.5  # of these times, when more wait than there are turns
REMEMBERED = 600.0  # seconds for which a network is known to be slow
MOST_SLOW = 10_000  # networks known to be slow; the oldest are forgotten first
MOST_SERVED = 10_000  # messages whose turns are counted; the longest without one are forgotten first

Share = tuple[str, object]


@attrs.frozen
class Claim:
    """For whom a policy is fetched."""

    mid: int = 0  # the message; 0: none (a renewal, a check)
    known: bool = False  # a policy of this domain is known


class Standing(enum.IntEnum):
    """Who goes first."""

    KNOWN = 0  # domains with a policy: mail is protected by it, and it has to stay so
    NEW = 1
    SLOW = 2  # new, and the network kept a turn for long of late


def network_of(address: IPAddress) -> str:
    """What counts as one host: a /24 of IPv4, a /64 of IPv6."""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))


@attrs.define(eq=False)
class Turn:
    """One turn, or the wait for it."""

    mid: int  # the message; 0: none
    shares: tuple[tuple[Share, int], ...]  # (share, how many it may have at a time)
    standing: Standing
    network: str  # "" = not known (the proxy connects)
    heard: Callable[[], bool]  # whether the policy host has finished its TLS handshake
    taken_away: Callable[[], object]
    since: float = 0.0
    ready: Deferred[None] = attrs.field(factory=Deferred, repr=False)
    timer: IDelayedCall | None = None

    def slow(self, now: float, hurry: float = 1.0) -> bool:
        """Whether it takes long."""
        age = (now - self.since) / hurry
        return age >= SLOW or (age >= UNHEARD and not self.heard())


class FetchTurns:
    """Hands them out.

    :param most: turns at a time.
    :param wait: seconds to wait for one at most.
    """

    def __init__(self, clock: IReactorTime, most: int, wait: float) -> None:
        self._clock = clock
        self._most = most
        self._wait = wait
        self._counts: Counter[Share] = Counter()
        self._running: dict[Turn, None] = {}  # in the order in which they began
        self._waiting: dict[Turn, None] = {}  # in the order in which they came
        self._slow: Recent[str, bool] = Recent(REMEMBERED, clock.seconds, MOST_SLOW)  # networks
        self._served: BoundedMap[int, int] = BoundedMap(MOST_SERVED)  # message -> turns that it has had
        self._newest = True  # who of equals goes next: the newest and the oldest by turns
        self._look: IDelayedCall | None = None
        self._timers = SpreadCalls(clock)  # many may wait for as long

    @property
    def busy(self) -> OwnFetchFault:
        """Why there is no turn."""
        return OwnFetchFault(FetchFault.BUSY, f"all {self._most} fetches are busy")

    async def take(
        self, claim: Claim, address: IPAddress | None, heard: Callable[[], bool], taken_away: Callable[[], object]
    ) -> Turn:
        """Wait for a turn.

        :param address: that is to be connected to; None: not known.
        :param heard: whether the policy host has finished its TLS handshake.
        :param taken_away: called once when others need the turn, which is given back already.
        :raises OwnFetchFault: there was none in time.
        """
        network = network_of(address) if address is not None else ""
        standing = self._standing(claim, network)
        turn = Turn(claim.mid, tuple(self._shares(claim, standing, network)), standing, network, heard, taken_away)
        if not self._full(turn):
            self._begin(turn)
            return turn
        if len(self._waiting) >= MOST_WAITING:
            raise self.busy
        self._waiting[turn] = None
        turn.timer = self._timers.callLater(self._wait, self._too_late, turn)
        if self._look is None:
            self._look = self._clock.callLater(LOOK, self._make_room)
        try:
            await turn.ready
        except Exception:
            self._leave(turn)
            raise
        return turn

    def give_back(self, turn: Turn) -> None:
        """It is over. Harmless when repeated."""
        if self._end(turn):
            if not turn.slow(self._clock.seconds()):
                self._slow.forget(turn.network)
            self._serve()

    def _standing(self, claim: Claim, network: str) -> Standing:
        if claim.known:
            return Standing.KNOWN
        return Standing.SLOW if self._slow.get(network) else Standing.NEW

    def _shares(self, claim: Claim, standing: Standing, network: str) -> Iterator[tuple[Share, int]]:
        most, quarter = self._most, self._most // 4
        yield ("all", ""), most
        # A quarter is kept for domains with a policy, and a quarter for those without.
        yield ("known", standing is Standing.KNOWN), max(1, most - quarter)
        if standing is Standing.SLOW:
            yield ("slow", ""), max(1, quarter)
        if network:
            yield ("network", network), PER_NETWORK
        if claim.mid:
            yield ("mid", claim.mid), max(1, min(MOST_PER_MESSAGE, most // 2))

    def _full(self, turn: Turn) -> list[tuple[Share, int]]:
        return [(share, most) for share, most in turn.shares if self._counts[share] >= most]

    def _begin(self, turn: Turn) -> None:
        self._running[turn] = None
        self._counts.update(share for share, _ in turn.shares)
        turn.since = self._clock.seconds()
        if turn.mid:
            self._served[turn.mid] = self._served.get(turn.mid, 0) + 1

    def _rank(self, turn: Turn) -> tuple[Standing, int]:
        """The lowest goes first."""
        return turn.standing, self._served.get(turn.mid, 0)

    def _end(self, turn: Turn, slow: bool = False) -> bool:
        """Whether it was running.

        :param slow: it was taken away.
        """
        if turn not in self._running:
            return False
        del self._running[turn]
        for share, _ in turn.shares:
            self._counts[share] -= 1
            if not self._counts[share]:
                del self._counts[share]
        if turn.network and (slow or turn.slow(self._clock.seconds())):
            self._slow.learn(turn.network, True)
        return True

    # --- those who wait ----------------------------------------------------------------------------

    def _too_late(self, turn: Turn) -> None:
        turn.timer = None
        if turn in self._waiting and not turn.ready.called:  # else it has begun while this waited for its turn
            turn.ready.errback(self.busy)

    def _leave(self, turn: Turn) -> None:
        """Nobody waits for it any more."""
        self._waits_no_more(turn)
        self.give_back(turn)

    def _waits_no_more(self, turn: Turn) -> None:
        self._waiting.pop(turn, None)
        if turn.timer is not None and turn.timer.active():
            turn.timer.cancel()
        turn.timer = None
        if not self._waiting and self._look is not None:
            self._look.cancel()
            self._look = None

    def _serve(self) -> None:
        """Let those begin for whom there is room."""
        while (turn := self._next()) is not None:
            self._newest = not self._newest
            self._waits_no_more(turn)
            self._begin(turn)
            turn.ready.callback(None)

    def _next(self) -> Turn | None:
        if self._counts["all", ""] >= self._most:
            return None
        best: Turn | None = None
        for turn in reversed(self._waiting) if self._newest else self._waiting:
            if (best is None or self._rank(turn) < self._rank(best)) and not self._full(turn):
                best = turn
        return best

    def _make_room(self) -> None:
        """Take turns of slow hosts away where they keep others from theirs."""
        self._look = None
        now = self._clock.seconds()
        many = len(self._waiting) > self._most
        slow = [turn for turn in self._running if turn.slow(now, HURRY if many else 1.0)]
        for waiting in sorted(self._waiting, key=self._rank):
            if not slow:
                break
            if waiting not in self._waiting:
                continue  # it has begun meanwhile
            for victim in self._victims(waiting, slow, 8 if many else 2):
                slow.remove(victim)
                if not self._end(victim, slow=True):
                    continue  # it has ended meanwhile
                self._serve()
                victim.taken_away()
        if self._waiting and self._look is None:
            self._look = self._clock.callLater(LOOK, self._make_room)

    def _victims(self, waiting: Turn, slow: list[Turn], kept: int) -> list[Turn]:
        """The turns to be taken away for one who waits: the youngest of the slow, so that the others are heard to their end.

        :param kept: so great a part of each share may be held by slow hosts: a half (2), an eighth (8).
        """
        full = self._full(waiting)
        victims: list[Turn] = []
        common = [turn for turn in slow if all(pair in turn.shares for pair in full)]
        for pair in full:
            members = [turn for turn in slow if pair in turn.shares]
            if len(members) <= pair[1] // kept:
                return []
            victims.append((common or members)[-1])
        return list(dict.fromkeys(victims))
