"""A spool on a real folder with everything around it replaced: clock, threads, composer, sink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.schema import QueueSettings
from seg.events.base import Event, IEventSink
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, DSNAction, Outcome
from seg.queue.assembly import QueueServices
from seg.queue.ids import MessageIds
from seg.queue.interfaces import IReportComposer, Lease
from seg.queue.queue import Queue
from seg.queue.schedule import Schedule, Schedules
from seg.queue.store import SpoolStore
from tests.queue.doubles import InlineCommitter, RecordingDisk

T = TypeVar("T")
E = TypeVar("E", bound=Event)
NOW = 1_800_000_000.0

DELIVERED = Delivered(7, "ok")
SOFT = Delayed(Temporary("4.2.1", "mailbox busy", 450, ("4.2.1 mailbox busy",)), 7, "mx.test")
HARD = Bounced(Permanent("5.1.1", "no such user", 550, ("5.1.1 no such user",)), 7, "mx.test")


@implementer(IEventSink)
class Recorder:
    """A sink that keeps everything."""

    debug = False

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


@implementer(IReportComposer)
class PlainComposer:
    """Reports that only name what they tell of."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heads: list[bytes] = []
        self.told: list[Outcome] = []  # of delays

    def compose(
        self,
        action: DSNAction,
        envelope: Envelope,
        fared: Sequence[tuple[int, Outcome]],
        head: bytes,
        mid: int,
        until: float = 0.0,
    ) -> tuple[Envelope, bytes] | None:
        self.heads.append(head)
        if action is DSNAction.DELAYED:
            self.told += [outcome for _, outcome in fared]
        if not envelope.reverse_path:
            return None
        what = "" if action is DSNAction.FAILED else f" {action}"
        text = f"MID {envelope.mid} RIDs {[rid for rid, _ in fared]}{what}\r\n".encode()
        return Envelope(mid, "", (Recipient(0, envelope.reverse_path),), self.clock.seconds(), len(text)), text

    def plain(
        self, action: DSNAction, envelope: Envelope, fared: Sequence[tuple[int, Outcome]], mid: int
    ) -> tuple[Envelope, bytes] | None:
        text = f"plain: MID {envelope.mid} RIDs {[rid for rid, _ in fared]}\r\n".encode()
        return Envelope(mid, "", (Recipient(0, envelope.reverse_path),), self.clock.seconds(), len(text)), text


def inline_thread(work: object) -> None:
    """The double of the counters' thread."""
    work()  # type: ignore[operator]


class House:
    """One run of the queue on a folder; make another one on the same folder for a restart."""

    def __init__(
        self,
        root: str,
        settings: QueueSettings | None = None,
        now: float = NOW,
        settings_of: Callable[[str, str], QueueSettings] | None = None,
        clock: Clock | None = None,
        fails: Callable[[str, str], int] = lambda operation, path: 0,
    ) -> None:
        self.root = Path(root)
        if clock is None:
            clock = Clock()
            clock.advance(now)
        self.clock = clock
        self.sink = Recorder()
        self.disk = RecordingDisk(root)
        self.disk.fails = fails
        self.commits = InlineCommitter(self.disk)
        self.composer = PlainComposer(self.clock)
        self.counters = MessageIds(self.root / "counters", self.sink, inline_thread, self.disk)
        store = SpoolStore(root, self.commits, self.counters, self.sink, self.clock)
        schedules = Schedules(Schedule(settings or QueueSettings(jitter=0.0), lambda: 0.0), settings_of)
        self.queue = Queue(store, schedules, self.composer, self.counters, self.sink, self.clock)
        self.services = QueueServices(self.queue, self.sink, self.clock)
        self.commands, self.corrupt = self.services.commands, self.services.corrupt
        self.ready: list[str] = []

    def start(self) -> House:
        result: list[object] = []
        self.services.start().addBoth(result.append)
        assert result == [None], result
        self.queue.subscribe(self.ready.append)
        return self

    def put(
        self, *addresses: str, sender: str = "from@sender.test", content: bytes = b"Subject: x\r\n\r\nhi\r\n"
    ) -> int:
        mid = self.counters.next_mid()
        done = self.write(mid, addresses, sender, content)
        result: list[object] = []
        done.addBoth(result.append)
        assert result == [None], result
        return mid

    def write(self, mid: int, addresses: Sequence[str], sender: str, content: bytes) -> Deferred[None]:
        writer = self.queue.begin(mid)
        writer.write(content)
        recipients = tuple(Recipient(rid, address) for rid, address in enumerate(addresses))
        return writer.commit(Envelope(mid, sender, recipients, self.clock.seconds()))

    def attempt(self, domain: str, outcome: Outcome) -> int | None:
        """Lease, and settle all of it with one outcome; the MID, or None when nothing is due."""
        lease = self.queue.lease(domain)
        if lease is None:
            return None
        self.queue.settle(lease, dict.fromkeys(lease.rids, outcome))
        return lease.mid

    def head(self, lease: Lease) -> str:
        """The first line of a lease's content."""
        result: list[bytes] = []
        Deferred.fromCoroutine(lease.content.head(1000)).addCallback(result.append)  # type: ignore[arg-type]
        return result[0].partition(b"\r\n")[0].decode()

    def files(self, *places: str) -> list[str]:
        """The files in these places, without their folders."""
        return sorted(
            f"{place}/{path.name}"
            for place in places or ("tmp", "new", "cur")
            for path in (self.root / place).rglob("*")
            if path.is_file()
        )


class HouseCase(SynchronousTestCase):
    """A test with a fresh spool folder."""

    def setUp(self) -> None:
        self.root = self.mktemp()
        self.house = House(self.root).start()

    def restart(self, settings: QueueSettings | None = None, now: float | None = None) -> House:
        """Another process takes over, as after a kill -9."""
        self.house = House(self.root, settings, self.house.clock.seconds() if now is None else now).start()
        return self.house
