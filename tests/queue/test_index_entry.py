"""How a waiting message's envelope is kept."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import Envelope, Recipient
from seg.queue.index_entry import SHARED_FROM, IndexEntry


def envelope(count: int) -> Envelope:
    """An envelope with so many destinations."""
    return Envelope(1, "alice@sender.example", tuple(Recipient(n, f"bob@d{n}.example") for n in range(count)), 0.0)


class SharedEnvelopeTests(SynchronousTestCase):
    """One message to a thousand destinations is leased a thousand times."""

    def test_one_object(self) -> None:
        """All who have the envelope at the same time have one object: neither time nor memory grows by destinations times recipients."""
        entry = IndexEntry(envelope(1000), 0.0)
        leased = [entry.envelope for _ in range(1000)]
        self.assertEqual(len({id(each) for each in leased}), 1)
        entry.envelope = changed = envelope(999)
        self.assertIs(entry.envelope, changed)

    def test_nothing_kept(self) -> None:
        """Nothing but its packed form is kept while nobody has it, and no reference where there are few recipients."""
        for count in (1, SHARED_FROM + 1):
            entry = IndexEntry(envelope(count), 0.0)
            gc.collect()
            self.assertEqual(entry.envelope, envelope(count))
            self.assertIsNone(entry._many.envelope() if entry._many is not None else None)
            self.assertEqual(entry._many is None, count == 1)
