"""The real gateway on disks that are full, read-only or broken: root only, as file systems are mounted for it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import smtplib
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.load import Clients, Gateway, Sink
from tests.programs import optional_program

RECOVERY = 10.0  # seconds
SHIM = Path(__file__).with_name("shim.c")


def mount(folder: Path, options: str) -> None:
    """A file system in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        raise unittest.SkipTest(f"nothing can be mounted here: {done.stderr!r}")


def fill(folder: Path) -> Path:
    """A file that takes all the room."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"x")
    return filler


class DiskCase(SynchronousTestCase):
    """A gateway whose ``var`` is a file system of its own."""

    def setUp(self) -> None:
        optional_program("mount", "--version")
        if os.getuid():
            raise unittest.SkipTest("needs root, to mount file systems")
        self.folder = Path(tempfile.mkdtemp(prefix="seg-disk-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.disk = self.folder / "disk"
        self.sink = Sink()
        self.addCleanup(self.sink.close)

    def mounted(self, folder: Path, options: str) -> None:
        mount(folder, options)
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=False)

    def gateway(self, environment: dict[str, str] | None = None) -> Gateway:
        gateway = Gateway(self.folder / "gateway", self.sink.port, self.disk / "var", environment)
        self.addCleanup(gateway.stop)
        gateway.start()
        return gateway

    def answer(self, gateway: Gateway) -> tuple[int, str]:
        """What a client hears."""
        content = "Subject: one\r\n\r\n" + "x" * 20000 + "\r\nend of one\r\n"
        try:
            with smtplib.SMTP("127.0.0.1", gateway.port, "client.faults.example", 20) as client:
                client.sendmail("a@sender.example", "b@receiver.example", content)
        except smtplib.SMTPResponseException as error:
            return error.smtp_code, str(error.smtp_error)
        return 250, ""

    def conditions(self, gateway: Gateway) -> list[str]:
        """The kinds of what `seg status` shows."""
        said, _ = gateway.seg("status", "--json")
        return [each["kind"] for each in json.loads(said)["conditions"]]

    def while_it_lasts(self, gateway: Gateway, code: int) -> None:
        """Clients hear of it, the log and the status have a line, and commands are answered."""
        gateway.until(lambda: self.answer(gateway)[0] == code, f"clients hear {code}")
        self.assertIn("4.3.1" if code == 452 else "4.3.0", self.answer(gateway)[1])
        self.assertIn("disk", self.conditions(gateway))
        said, status = gateway.seg("status", "--check")
        self.assertEqual((status, "can't be written" in said), (1, True), said)

    def recovered(self, gateway: Gateway) -> None:
        """It takes mail again within ten seconds by itself, the status is clean, and all that was accepted comes."""
        took = gateway.until(lambda: "disk" not in self.conditions(gateway), "the condition ends", 2 * RECOVERY)
        self.assertLess(took, RECOVERY + 5)  # the command itself takes its time on a busy machine
        load = Clients(gateway.port, "after", 2)
        gateway.until(lambda: len(load.accepted) >= 5, "mail is taken again")
        load.stop()
        gateway.until(lambda: not set(load.accepted) - set(self.sink.taken), "all is delivered")
        self.assertEqual(self.sink.half, [])


class FullTests(DiskCase):
    """No room, or none for names."""

    def test_full(self) -> None:
        """Full while it runs, and then at a start: 452 to clients, and it goes on within ten seconds when there is room."""
        self.mounted(self.disk, "size=16m")
        gateway = self.gateway()
        load = Clients(gateway.port, "before", 4)
        gateway.until(lambda: len(load.accepted) > 20, "mail is taken")
        filler = fill(self.disk)
        self.while_it_lasts(gateway, 452)
        load.stop()
        gateway.until(
            lambda: not set(load.accepted) - set(self.sink.taken), "what was accepted is delivered, full or not"
        )
        filler.unlink()
        self.recovered(gateway)
        gateway.seg("suspenddel")
        waiting = Clients(gateway.port, "waiting", 1)
        gateway.until(lambda: len(waiting.accepted) > 5, "mail waits")
        waiting.stop()
        gateway.stop()
        filler = fill(self.disk)
        gateway.start()
        gateway.until(lambda: self.answer(gateway)[0] == 452 or not filler.exists(), "clients hear 452")
        said, status = gateway.seg("queue", "hold", "--all")
        self.assertEqual(status, 0, said)
        for words in (("queue", "release", "--all"), ("resumedel",)):
            said, status = gateway.seg(*words)
            self.assertEqual(status, 0, said)
        gateway.until(lambda: not set(waiting.accepted) - set(self.sink.taken), "all is delivered on a full disk")
        filler.unlink()
        self.recovered(gateway)

    def test_no_inodes(self) -> None:
        """Without room for names."""
        self.mounted(self.disk, "size=32m,nr_inodes=800")
        gateway = self.gateway()
        (self.disk / "names").mkdir()
        with contextlib.suppress(OSError):
            for number in range(800):
                (self.disk / "names" / str(number)).touch()
        self.while_it_lasts(gateway, 452)
        shutil.rmtree(self.disk / "names")
        self.recovered(gateway)

    def test_log_full(self) -> None:
        """A log without room stops nothing."""
        self.mounted(self.disk, "size=16m")
        self.mounted(self.disk / "var" / "log", "size=64k")
        gateway = self.gateway()
        fill(self.disk / "var" / "log")
        load = Clients(gateway.port, "load", 4)
        gateway.until(lambda: len(load.accepted) > 50, "mail is taken")
        load.stop()
        gateway.until(lambda: not set(load.accepted) - set(self.sink.taken), "all is delivered")


class BrokenTests(DiskCase):
    """A disk that gives errors."""

    @contextlib.contextmanager
    def broken(self, number: int, calls: str) -> Iterator[None]:
        control = self.folder / "fault"
        control.write_text(f"{number} {calls}")
        yield
        control.unlink()

    def environment(self) -> dict[str, str]:
        """The environment of a process whose calls can be made to fail."""
        optional_program("gcc", "--version")
        library = self.folder / "shim.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"], check=True)
        return {"LD_PRELOAD": str(library), "SEG_FAULT": str(self.folder / "fault")}

    def test_writing(self) -> None:
        """EIO of fsync, EACCES of rename (a wrong owner), EROFS (remounted by the kernel): 451, nothing lost, and it goes on by itself."""
        self.disk.mkdir()
        gateway = self.gateway(self.environment())
        for number, calls in ((errno.EIO, "fsync"), (errno.EACCES, "rename"), (errno.EROFS, "fsync rename unlink")):
            load = Clients(gateway.port, f"load{number}", 3)
            gateway.until(lambda load=load: len(load.accepted) > 10, "mail is taken")  # type: ignore[misc]
            with self.broken(number, calls):
                self.while_it_lasts(gateway, 451)
            self.recovered(gateway)
            load.stop()
            gateway.until(lambda load=load: not set(load.accepted) - set(self.sink.taken), "nothing is lost", 30)  # type: ignore[misc]

    def test_reading_at_the_start(self) -> None:
        """EIO while all spool files are read at a start: nothing goes to corrupt/, the status says so, and all is delivered when it ends."""
        self.disk.mkdir()
        gateway = self.gateway(self.environment())
        gateway.seg("suspenddel")
        load = Clients(gateway.port, "load", 3)
        gateway.until(lambda: len(load.accepted) > 30, "mail is taken")
        load.stop()
        gateway.kill()
        with self.broken(errno.EIO, "open"):
            gateway.start()
            gateway.seg("resumedel")
            self.assertIn("disk-read", self.conditions(gateway))
            self.assertEqual(os.listdir(self.disk / "var" / "spool" / "corrupt"), [])
        gateway.until(lambda: not set(load.accepted) - set(self.sink.taken), "all is delivered", 30)
        self.assertNotIn("disk-read", self.conditions(gateway))
