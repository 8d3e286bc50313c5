"""The start: what is found in the spool, and what doesn't belong there (case A15)."""

import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.events.gateway import Notice
from seg.events.queue import QueueScanned, SpoolFileCorrupt
from seg.mail.envelope import Envelope, Recipient, RecipientState
from seg.queue.codec import encode
from tests.queue.house import DELIVERED, NOW, SOFT, House, HouseCase

CONTENT = b"Subject: x\r\n\r\nhi\r\n"


def message(mid: int, size: int = len(CONTENT)) -> bytes:
    return encode(Envelope(mid, "a@b.test", (Recipient(0, "c@one.test"),), NOW, size)) + CONTENT


class ScanTests(HouseCase):
    """Good messages."""

    def test_all_found(self) -> None:
        """Every message is taken up, oldest first, from new/ and cur/."""
        mids = [self.house.put("a@one.test") for _ in range(500)]
        self.house.attempt("one.test", SOFT)
        house = self.restart(now=NOW + 60)
        self.assertEqual(house.sink.of(QueueScanned)[0].messages, 500)
        self.assertEqual([house.attempt("one.test", DELIVERED) for _ in range(501)], [*mids, None])
        self.assertEqual(house.files(), [])

    def test_ids_go_on(self) -> None:
        """MIDs after a restart are above all that were used."""
        before = self.house.put("a@one.test")
        self.restart()
        self.assertGreater(self.house.put("a@one.test"), before)

    def test_leftovers(self) -> None:
        """What was being written never got its 250, and is removed."""
        self.house.queue.begin(77).write(b"x" * 200_000)
        self.assertEqual(self.house.files("tmp"), ["tmp/000000000077"])
        house = self.restart()
        self.assertEqual(house.files("tmp", "corrupt"), [])

    def test_envelope_wins(self) -> None:
        """The envelope beside a message counts, also when the message has not yet moved to cur/."""
        mid = self.house.put("a@one.test", "b@two.test")
        self.house.attempt("one.test", DELIVERED)
        cur = self.house.root / "cur/00" / f"{mid:012d}"
        cur.rename(self.house.root / "new/00" / cur.name)
        house = self.restart()
        self.assertEqual(house.ready, ["two.test"])
        self.assertEqual(house.attempt("two.test", DELIVERED), mid)
        self.assertEqual(house.files(), [])

    def test_long_envelope(self) -> None:
        """An envelope larger than the first read is found as well."""
        self.house.put(*(f"somebody{number}@one.test" for number in range(1000)))
        house = self.restart()
        self.assertEqual(house.commands.counts().recipients, 1000)

    def test_finished_leftover(self) -> None:
        """A message whose envelope says that nothing is left is removed."""
        path = self.house.root / "new/00/000000000009"
        path.parent.mkdir()
        delivered = Recipient(0, "c@one.test", RecipientState.DELIVERED)
        path.write_bytes(encode(Envelope(9, "a@b.test", (delivered,), NOW, 0)))
        house = self.restart()
        self.assertEqual((house.files(), list(house.commands.messages())), ([], []))


class CorruptTests(SynchronousTestCase):
    """Case A15."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.folder = self.root / "new" / "00"
        self.folder.mkdir(parents=True)
        (self.root / "cur" / "00").mkdir(parents=True)
        self.copies = 0  # files that have a second name in corrupt/, less those removed
        (self.folder / "000000000001").write_bytes(message(1))
        (self.folder / "000000000099").write_bytes(message(99))

    def start(self, fails: object = None) -> House:
        """Start, with the two good messages still delivered; nothing may have been deleted."""
        before = sum(len(files) for _, _, files in os.walk(self.root))
        house = House(str(self.root))
        if fails:
            house.disk.fails = fails  # type: ignore[assignment]
        house.start()
        after = sum(len(files) for _, _, files in os.walk(self.root))
        self.assertEqual(after, before + 2 + self.copies)  # the counters, the reserve
        mids = [house.attempt("one.test", DELIVERED) for _ in range(3)]
        self.assertEqual(mids, [1, 99, None])
        return house

    def check(self, house: House, *moved: str) -> None:
        self.assertEqual(sorted(path.name for path in (self.root / "corrupt").iterdir()), sorted(moved))
        events = house.sink.of(SpoolFileCorrupt)
        self.assertEqual(len(events), len(moved))
        self.assertTrue(all(event.text for event in events))
        self.assertEqual(house.sink.of(QueueScanned)[0].corrupt, len(moved))

    def test_a15_broken_files(self) -> None:
        """Empty, truncated, garbled and foreign files are put aside with a reason; all others are delivered."""
        whole = message(2)
        table = {
            "000000000002": b"",
            "000000000003": whole[:20],
            "000000000004": message(4)[:-5],
            "000000000005": os.urandom(5000),
            "000000000006": whole,
            "000000000007": message(7) + b"more",
            "000000000008": b'{"v": 9}\n',
            "000000000011": message(11).replace(b"1800000000.0", b"1" + b"0" * 400),
            "core.1234": b"x",
            "000000000010.tmp": message(10),
            "000000009999": message(9999),
        }
        for name, data in table.items():
            (self.folder / name).write_bytes(data)
        self.check(self.start(), *(f"new-00-{name}" for name in table))

    def test_a15_folders(self) -> None:
        """Folders and files where none should be are put aside whole."""
        (self.folder / "000000000002").mkdir()
        (self.root / "new" / "old").mkdir()
        (self.root / "new" / "old" / "000000000003").write_bytes(message(3))
        (self.root / "cur" / "notes").write_bytes(b"x")
        (self.root / "tmp" / "deep").mkdir(parents=True)
        house = self.start()
        self.check(house, "new-00-000000000002", "new-old", "cur-notes", "tmp-deep")
        self.assertTrue((self.root / "corrupt" / "new-old" / "000000000003").exists())

    def test_a15_neither_file_nor_folder(self) -> None:
        """A pipe or a symlink can't stop the start."""
        os.mkfifo(self.folder / "000000000002")
        os.symlink("/etc/passwd", self.folder / "000000000003")
        os.symlink("nowhere", self.folder / "000000000004")
        self.check(self.start(), "new-00-000000000002", "new-00-000000000003", "new-00-000000000004")

    def test_stuck_leftover(self) -> None:
        """A leftover that can't be removed from tmp/ stays there, until the next start."""
        (self.root / "tmp").mkdir()
        (self.root / "tmp" / "000000000050").write_bytes(b"x")
        house = self.start(
            lambda operation, path: errno.EPERM if operation == "unlink" and path == "tmp/000000000050" else 0
        )
        self.check(house)

    def test_leftover_envelope(self) -> None:
        """A kill between the two unlinks of a finished message leaves its envelope: it is removed, and nothing is called corrupt."""
        (self.root / "cur" / "00" / "000000000002.env").write_bytes(message(2))
        self.copies = -1
        house = self.start()
        self.check(house)
        self.assertEqual(
            [event.text for event in house.sink.of(Notice)], ["Queue scan: removed what 1 finished messages had left"]
        )

    def test_two_files(self) -> None:
        """Of two files of one message the one in cur/ counts."""
        (self.root / "cur" / "00" / "000000000001").write_bytes(message(1))
        (self.root / "cur" / "00" / "000000000001.env").write_bytes(message(1).partition(b"\n")[0] + b"\n")
        self.check(self.start(), "new-00-000000000001")

    def test_same_name_again(self) -> None:
        """Nothing in corrupt/ is overwritten."""
        (self.root / "corrupt").mkdir()
        (self.root / "corrupt" / "new-00-x").write_bytes(b"earlier")
        (self.folder / "x").write_bytes(b"later")
        self.start()
        self.assertEqual((self.root / "corrupt" / "new-00-x").read_bytes(), b"earlier")
        self.assertEqual((self.root / "corrupt" / "new-00-x.1").read_bytes(), b"later")

    def test_cannot_be_moved(self) -> None:
        """When not even moving works, the start goes on and says so."""
        (self.folder / "x").write_bytes(b"x")
        self.copies = -1  # nor can there be a reserve
        house = self.start(lambda operation, path: errno.EROFS if operation == "rename" else 0)
        event = house.sink.of(SpoolFileCorrupt)[0]
        self.assertEqual((event.moved_to, event.path.endswith("new/00/x")), ("", True))
        self.assertIn("can't be moved", event.text)
