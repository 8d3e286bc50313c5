"""The event bus."""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.events.base import Event, IEventSink
from seg.events.bus import EventBus
from seg.events.dns import DNSAsked
from seg.events.queue import MessageFinished
from seg.events.receive import ConnectionClosed


class BusTests(SynchronousTestCase):
    """Who hears what."""

    def setUp(self) -> None:
        self.bus = EventBus()
        self.heard: list[Event] = []

    def broken(self, event: Event) -> None:
        """A listener that fails."""
        raise ZeroDivisionError

    def test_interface(self) -> None:
        """The bus is what the stages expect."""
        self.assertTrue(verifyObject(IEventSink, self.bus))

    def test_listeners(self) -> None:
        """Every listener hears every event, in the order in which they were added."""
        other: list[Event] = []
        self.bus.add(self.heard.append)
        self.bus.add(other.append)
        self.bus.emit(ConnectionClosed(1))
        self.assertEqual((self.heard, other), ([ConnectionClosed(1)], [ConnectionClosed(1)]))

    def test_hold(self) -> None:
        """What is emitted before everybody listens is told once and in order, to all, also to those who listened before."""
        self.bus.hold()
        self.bus.emit(ConnectionClosed(1))
        self.bus.add(self.heard.append)
        self.bus.emit(ConnectionClosed(2))
        self.assertEqual(self.heard, [])
        self.bus.hand_out()
        self.bus.emit(ConnectionClosed(3))
        self.assertEqual(self.heard, [ConnectionClosed(1), ConnectionClosed(2), ConnectionClosed(3)])

    def test_debug(self) -> None:
        """Debug events go only to those who asked, and `debug` says whether anybody did."""
        self.bus.add(self.heard.append)
        self.assertFalse(self.bus.debug)
        self.bus.emit(DNSAsked("a", "MX"))
        self.assertEqual(self.heard, [])
        other: list[Event] = []
        self.bus.add(other.append, debug=True)
        self.assertTrue(self.bus.debug)
        self.bus.emit(DNSAsked("a", "MX"))
        self.bus.emit(ConnectionClosed(1))
        self.assertEqual((len(self.heard), len(other)), (1, 2))

    def test_added_again(self) -> None:
        """One that is added again stays at its place, hears everything once, and wants debug events or doesn't."""
        order: list[str] = []
        first, second = (lambda event: order.append("first")), (lambda event: order.append("second"))
        self.bus.add(first)
        self.bus.add(second)
        self.bus.add(first, debug=True)
        self.bus.emit(ConnectionClosed(1))
        self.assertEqual((order, self.bus.debug), (["first", "second"], True))
        self.bus.add(first)
        self.assertFalse(self.bus.debug)

    def test_kinds(self) -> None:
        """A listener that names kinds of events hears of nothing else, also when it is added before others, or again."""
        other: list[Event] = []
        self.bus.add(self.heard.append, kinds=(MessageFinished,))
        self.bus.add(other.append)
        for event in (ConnectionClosed(1), MessageFinished(2)):
            self.bus.emit(event)
        self.assertEqual((self.heard, other), ([MessageFinished(2)], [ConnectionClosed(1), MessageFinished(2)]))
        self.bus.add(self.heard.append, kinds=(ConnectionClosed,))
        self.bus.emit(MessageFinished(3))
        self.bus.emit(ConnectionClosed(4))
        self.assertEqual(self.heard, [MessageFinished(2), ConnectionClosed(4)])

    def test_remove(self) -> None:
        """A listener that was removed hears nothing any more, and takes its wish for debug events along."""
        listener = self.heard.append
        self.bus.add(listener, debug=True)
        self.bus.remove(listener)
        self.bus.emit(ConnectionClosed(1))
        self.assertEqual((self.heard, self.bus.debug), ([], False))
        self.bus.remove(listener)

    def test_failing_listener(self) -> None:
        """A listener that raises is reported once, stays, and stops neither the others nor the stage."""
        self.bus.add(self.broken)
        self.bus.add(self.heard.append)
        for number in range(3):
            self.bus.emit(ConnectionClosed(number))
        self.assertEqual(len(self.heard), 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
