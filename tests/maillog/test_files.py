"""The files of the mail log."""

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.log import Log, LogLevel
from seg.events.base import Event, IEventSink
from seg.events.dns import DNSAsked
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind, Fault, Notice
from seg.events.receive import ConnectionClosed, MessageReceived
from seg.maillog import rotating_file as appending
from seg.maillog.buffered_log import LARGEST_BATCH
from seg.maillog.files import MailLogFile, plan_of_log
from seg.maillog.log_table import Level
from tests.doubles import RecordingSink


class LogFileTests(SynchronousTestCase):
    """Buffers, frames, rotation, and what others do to the files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.clock = Clock()
        self.clock.advance(1727357019.5)
        self.sink = RecordingSink()
        self.log = self.begin()

    def begin(self, **options: Any) -> MailLogFile:
        """A log with these settings, started."""
        log = MailLogFile(self.folder, plan_of_log(Log(**options)), self.clock, "0.1.0", "gw.example.net", self.sink)
        log.start()
        return log

    def emit(self, *events: Event) -> None:
        """Emit events and wait until they are written."""
        for event in events:
            self.log.emit(event)
        self.clock.advance(0.2)

    def texts(self, name: str = "mail.log") -> list[str]:
        """The lines of a file without their times."""
        return [line[25:] for line in (self.folder / name).read_text("utf-8").splitlines()]

    def records(self, name: str = "mail.jsonl") -> list[dict[str, Any]]:
        """The objects of a JSON file."""
        return [json.loads(line) for line in (self.folder / name).read_text("utf-8").splitlines()]

    def closed(self, ending: str = "s") -> list[str]:
        """Names of closed files, sorted."""
        return sorted(path.name for path in self.folder.glob(f"mail.@*.{ending}"))

    def test_interface(self) -> None:
        """The log can stand in for the bus."""
        self.assertTrue(verifyObject(IEventSink, self.log))

    def test_frame(self) -> None:
        """A file begins with version and UTC offset, and ends with its last line."""
        self.log.emit(ConnectionClosed(1))
        self.log.stop()
        lines = self.texts()
        self.assertEqual(lines[:2], ["Info: Begin Logfile", "Info: Version: seg 0.1.0 SN: gw.example.net"])
        self.assertRegex(lines[2], r"^Info: Time offset from UTC: -?\d+ seconds$")
        self.assertEqual(lines[3:], ["Info: ICID 1 close", "Info: End Logfile"])
        records = self.records()
        self.assertEqual([r["event"] for r in records], ["log_opened", "connection_closed", "log_closed"])
        self.assertEqual((records[0]["version"], records[0]["host"]), ("0.1.0", "gw.example.net"))

    def test_time(self) -> None:
        """Lines bear the time of the event, not of the write, in ctime form with the day padded."""
        self.log.emit(ConnectionClosed(1))
        self.clock.advance(0.2)
        line = (self.folder / "mail.log").read_text().splitlines()[-1]
        self.assertRegex(line, r"^Thu Sep 26 \d\d:\d\d:39 2024 Info: ICID 1 close$")
        self.clock.advance(86400 * 8)
        self.emit(ConnectionClosed(2))
        self.assertRegex((self.folder / "mail.log").read_text().splitlines()[-1], r"^\w{3} Oct  4 ")
        self.assertRegex(self.records()[-1]["time"], r"^2024-10-04T\d\d:\d\d:39\.700[+-]")

    def test_buffer(self) -> None:
        """Events are written together after a moment, or when there are many."""
        self.log.emit(ConnectionClosed(1))
        self.assertEqual(len(self.texts()), 3)
        self.clock.advance(0.2)
        self.assertEqual(len(self.texts()), 4)
        for number in range(LARGEST_BATCH):
            self.log.emit(ConnectionClosed(number))
        self.assertEqual(len(self.texts()), 4 + LARGEST_BATCH)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_warning(self) -> None:
        """A warning is written at once, behind what waited."""
        self.log.emit(ConnectionClosed(1))
        self.log.emit(Fault("mend me"))
        self.assertEqual(self.texts()[3:], ["Info: ICID 1 close", "Warning: mend me"])

    def test_levels(self) -> None:
        """Debug lines are written only at level debug."""
        self.emit(DNSAsked("a", "MX"), ConnectionClosed(1))
        self.assertEqual((len(self.texts()), len(self.records()), self.log.debug), (4, 2, False))
        self.log.stop()
        self.log = self.begin(level=LogLevel.DEBUG)
        self.emit(DNSAsked("a", "MX"))
        self.assertEqual(self.texts()[-1], "Debug: DNS query: Q(a, 'MX')")
        self.assertEqual((self.records()[-1]["level"], self.log.debug), ("debug", True))

    def test_without_json(self) -> None:
        """The JSON twin can be switched off."""
        self.folder = Path(self.mktemp())
        self.begin(json=False)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["mail.log"])

    def test_message_details(self) -> None:
        """Subject and Message-ID stay out of both files unless the operator wants them."""
        event = MessageReceived(7, 9, "a@b", 10, "<id@b>", "secret")
        self.emit(event)
        self.assertNotIn("secret", str(self.texts()) + str(self.records()))
        self.log.stop()
        self.log = self.begin(message_details=True)
        self.emit(event)
        self.assertIn("Info: MID 7 Subject 'secret'", self.texts())
        self.assertEqual(self.records()[-1]["subject"], "secret")

    def test_after_stop(self) -> None:
        """Once stopped, the log takes nothing, and nothing is left on the clock."""
        self.log.emit(ConnectionClosed(1))
        self.log.stop()
        self.log.emit(ConnectionClosed(2))
        self.log.stop()
        self.assertEqual(self.texts()[3:], ["Info: ICID 1 close", "Info: End Logfile"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_restart(self) -> None:
        """A new start goes on in the same file, on a new line even when the last one was cut off."""
        self.log.stop()
        with (self.folder / "mail.log").open("ab") as file:
            file.write(b"cut o")
        self.begin().stop()
        lines = (self.folder / "mail.log").read_text().splitlines()
        self.assertEqual(lines[4], "cut o")
        self.assertTrue(lines[5].endswith("Begin Logfile"))

    def test_rotation(self) -> None:
        """A full file is closed under the time's name and a new one begun; only so many closed ones stay."""
        self.log.stop()
        self.folder = Path(self.mktemp())
        self.log = self.begin(rotate_size=1024, keep=2)
        for number in range(40):
            self.emit(Notice(f"{number:02d} " + "x" * 200))
        closed = self.closed()
        self.assertEqual((len(closed), len(self.closed("jsonl"))), (2, 2))
        self.assertRegex(closed[0], r"^mail\.@20240926T\d{6}(-\d+)?\.s$")
        for name in closed:
            lines = self.texts(name)
            self.assertEqual((lines[0], lines[-1]), ("Info: Begin Logfile", "Info: End Logfile"))
            self.assertLess((self.folder / name).stat().st_size, 1024 + 400)
        self.log.stop()
        numbers = [
            match
            for name in [*sorted(closed, key=lambda n: (self.folder / n).stat().st_mtime_ns), "mail.log"]
            for match in re.findall(r"Info: (\d\d) x", (self.folder / name).read_text())
        ]
        self.assertEqual(numbers, [f"{number:02d}" for number in range(int(numbers[0]), 40)])

    def test_moved_by_others(self) -> None:
        """When somebody moves the file away, it gets its last line and a new one is begun."""
        self.emit(ConnectionClosed(1))
        (self.folder / "mail.log").rename(self.folder / "mail.log.1")
        self.emit(ConnectionClosed(2))
        self.assertEqual(self.texts("mail.log.1")[3:], ["Info: ICID 1 close", "Info: End Logfile"])
        self.assertEqual(self.texts()[0], "Info: Begin Logfile")
        self.assertEqual(self.texts()[3:], ["Info: ICID 2 close"])

    def test_deleted_by_others(self) -> None:
        """When somebody deletes the file or its folder, they are made again."""
        for path in list(self.folder.iterdir()):
            path.unlink()
        self.folder.rmdir()
        self.emit(ConnectionClosed(2))
        self.assertEqual(self.texts()[3:], ["Info: ICID 2 close"])

    def test_emptied_by_others(self) -> None:
        """When somebody empties the file in place, writing goes on at its start."""
        self.emit(ConnectionClosed(1))
        os.truncate(self.folder / "mail.log", 0)
        self.emit(ConnectionClosed(2))
        self.assertEqual(self.texts(), ["Info: ICID 2 close"])

    def test_unwritable(self) -> None:
        """A log that can't be written is told once, loses nothing that memory holds, and comes back by
        itself."""
        self.log.stop()
        for path in list(self.folder.iterdir()):
            path.unlink()
        self.folder.rmdir()
        self.folder.write_text("in the way")
        told: list[str | None] = []

        def observe(event: LogEvent) -> None:
            told.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.log = self.begin()
        for number in range(3):
            self.emit(ConnectionClosed(number))
        self.assertEqual(len([text for text in told if text and "can't be written, mail goes on" in text]), 2)
        self.folder.unlink()
        self.emit(ConnectionClosed(3))
        self.assertEqual(self.texts()[3:], [f"Info: ICID {n} close" for n in range(4)])
        self.assertEqual([r["icid"] for r in self.records()[1:]], [0, 1, 2, 3])

    def test_full_disk(self) -> None:
        """What a full disk took of a line isn't written twice, and the rest follows when there is room."""
        room = 10
        write = os.write

        def short(descriptor: int, data: bytes) -> int:
            nonlocal room
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = write(descriptor, bytes(data[:room]))
            room -= written
            return written

        self.patch(appending.os, "write", short)
        self.emit(ConnectionClosed(1))
        self.emit(ConnectionClosed(2))
        self.assertEqual(len((self.folder / "mail.log").read_bytes().splitlines()[-1]), 10)
        room = 10**6
        self.emit(ConnectionClosed(3))
        self.assertEqual(self.texts()[3:], [f"Info: ICID {n} close" for n in (1, 2, 3)])
        self.assertEqual([r["icid"] for r in self.records()[1:]], [1, 2, 3])

    def fill_up(self) -> Callable[[int], None]:
        """A disk with room for so many octets from now on; call what is returned to say how many."""
        room = 10
        write = os.write

        def short(descriptor: int, data: bytes) -> int:
            nonlocal room
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = write(descriptor, bytes(data[:room]))
            room -= written
            return written

        def have(octets: int) -> None:
            nonlocal room
            room = octets

        self.patch(appending.os, "write", short)
        return have

    def test_torn_lines(self) -> None:
        """Whatever happens to a file while the disk is full, every line that is written then stands by itself, and none is half there but the
        one that was cut off in a file that is gone on with elsewhere."""
        path = self.folder / "mail.log"

        def nothing() -> None:
            """The same file goes on."""

        def empty() -> None:
            os.truncate(path, 0)

        def move() -> None:
            path.rename(self.folder / "moved")

        def delete() -> None:
            path.unlink()

        def other_writer() -> None:
            with path.open("ab") as file:
                file.write(b" a note of somebody")

        def restart() -> None:
            self.log.stop()
            self.log = MailLogFile(self.folder, plan_of_log(Log(json=False)), self.clock, "0.1.0", "gw", self.sink)
            self.log.start()

        for act in (nothing, empty, move, delete, other_writer, restart):
            self.log.stop()
            for old in self.folder.iterdir():
                old.unlink()
            self.log = self.begin(json=False)
            have = self.fill_up()
            have(10**6)
            self.emit(ConnectionClosed(1))
            have(37)
            self.emit(ConnectionClosed(2), ConnectionClosed(3))
            act()
            have(10**6)
            self.emit(ConnectionClosed(4))
            lines = path.read_text().splitlines()
            form = r"\w{3} \w{3} [ \d]\d [\d:]{8} \d{4} Info: (Begin Logfile|Version: .*|Time offset .*|End Logfile|ICID \d close)"
            whole = [line for line in lines if re.fullmatch(form, line)]
            torn = [line for line in lines if line not in whole]
            self.assertEqual(len(torn), 1 if act in (other_writer, restart) else 0, (act.__name__, torn))
            closed = [line[25:] for line in whole if "close" in line]
            wanted = [f"Info: ICID {n} close" for n in (1, 2, 3, 4)]
            kept = {nothing: wanted, other_writer: wanted, restart: [wanted[0], wanted[3]]}.get(act, wanted[1:])
            self.assertLessEqual(set(kept), set(closed), (act.__name__, closed))
            self.assertEqual(len(closed), len(set(closed)), act.__name__)

    def test_condition(self) -> None:
        """A file that can't be written is a condition, told once; it ends by itself within ten seconds, without any event."""
        have = self.fill_up()
        have(0)
        for number in range(3):
            self.emit(ConnectionClosed(number))
        self.clock.advance(60)
        text = "can't be written: No space left on device; its lines wait in memory, mail goes on"
        files = [str(self.folder / name) for name in ("mail.log", "mail.jsonl")]
        self.assertEqual(
            self.sink.events, [ConditionBegan(ConditionKind.LOG, file, f"{Path(file).name} {text}") for file in files]
        )
        have(10**6)
        self.clock.advance(10)
        self.clock.advance(0)
        self.assertEqual(
            self.sink.events[2:],
            [ConditionEnded(ConditionKind.LOG, file, f"{Path(file).name} is written again") for file in files],
        )
        self.assertEqual(self.texts()[3:], [f"Info: ICID {n} close" for n in range(3)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_start_on_a_full_disk(self) -> None:
        """A gateway that starts on a full disk logs as soon as there is room."""
        self.log.stop()
        have = self.fill_up()
        have(0)
        self.log = self.begin()
        self.clock.advance(1)
        self.assertEqual(len(self.sink.of(ConditionBegan)), 2)
        have(10**6)
        self.clock.advance(5)
        self.clock.advance(0)
        self.assertEqual(len(self.sink.of(ConditionEnded)), 2)
        self.assertEqual(self.texts()[-2:], ["Info: Version: seg 0.1.0 SN: gw.example.net", self.texts()[-1]])

    def test_strange_places(self) -> None:
        """A folder, or a pipe that nobody reads, in the place of the file stops nothing, and is told."""
        path = self.folder / "mail.log"
        for make in (path.mkdir, lambda: os.mkfifo(path)):
            path.unlink()
            make()
            for number in range(3):
                self.emit(ConnectionClosed(number), *(Notice("x" * 16000) for _ in range(20)))
            self.clock.advance(0)
            self.assertEqual(len(self.sink.of(ConditionBegan)), 1)
            path.rmdir() if path.is_dir() else path.unlink()
            self.clock.advance(5)
            self.clock.advance(0)
            self.assertEqual(len(self.sink.of(ConditionEnded)), 1)
            self.sink.events.clear()

    def test_memory_is_bounded(self) -> None:
        """While nothing can be written, only so much waits; how many lines were lost is said afterwards."""
        self.patch(appending, "MOST_WAITING", 300)
        (self.folder / "mail.log").rename(self.folder / "away")
        (self.folder / "mail.log").mkdir()
        for number in range(20):
            self.emit(ConnectionClosed(number))
        (self.folder / "mail.log").rmdir()
        self.emit(ConnectionClosed(99))
        lines = self.texts()
        self.assertEqual(lines[3], "Info: ICID 0 close")
        self.assertRegex(lines[-1], r"^Warning: \d+ lines were lost while this file couldn't be written$")
        told = len(lines) - 4
        self.assertIn(f"Warning: {21 - told} lines", lines[-1])

    def test_event_that_cant_be_told(self) -> None:
        """An event whose line can't be made is told raw, reported once, and the others with it aren't
        lost."""
        self.log._telling._known[Notice] = (Level.INFO, lambda event: 1 / 0)  # type: ignore[assignment]
        self.emit(ConnectionClosed(1), Notice("a"), Notice("b"), ConnectionClosed(2))
        self.assertEqual(self.texts()[4:6], ["Info: Notice(text='a')", "Info: Notice(text='b')"])
        self.assertEqual(self.texts()[6], "Info: ICID 2 close")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
