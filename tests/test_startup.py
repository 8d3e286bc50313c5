"""What `twistd seg` says when it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.metrics_page import _Bounded
from seg.admin.socket import UnloggedSite
from seg.admin.tcp import LimitedTLSFactory
from seg.config.find import ConfigurationFiles, ConfigurationOrigin
from seg.config.receive import ListenerSettings
from seg.config.schema import Settings
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind, Fault
from seg.gateway.startup import KINDS, StartLog, lines
from seg.receive.listener import Listener


class StartTests(SynchronousTestCase):
    """`seg.gateway.startup`."""

    def setUp(self) -> None:
        self.seen: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.seen.append)

    def said(self) -> list[str]:
        """The lines."""
        return [event["log_format"].format(**event) for event in self.seen]

    def test_five_lines(self) -> None:
        """Version, configuration, listeners, log with what to type next, and the resolver once it is known; under the program's name."""
        files = ConfigurationFiles(
            Path("/etc/seg/seg.toml"), Path("/etc/seg/destinations.toml"), ConfigurationOrigin.NAMED
        )
        log, probed = StartLog(), Deferred[None]()
        log.started(
            lines("mx.example.com", files, Settings(listener=(ListenerSettings(address="127.0.0.1", port=25),)))
        )
        log.after(probed, lambda: False)
        self.assertEqual(len(self.seen), 4)
        probed.callback(None)
        for line, part in zip(
            self.said(),
            ("on mx.example.com", "/etc/seg/seg.toml", "relay 127.0.0.1:25", "tail -f", "does not validate"),
            strict=True,
        ):
            self.assertIn(part, line)
        self.assertIn("seg --config /etc/seg/seg.toml status", self.said()[3])
        self.assertEqual({event["log_namespace"] for event in self.seen}, {"seg"})

    def test_warnings(self) -> None:
        """What an operator should mend is told there, too."""
        log = StartLog()
        for event in (
            Fault("mend {this}"),
            ConditionBegan(ConditionKind.DISK, "", "full"),
            ConditionEnded(ConditionKind.DISK, "", "better"),
        ):
            self.assertIsInstance(event, KINDS)
            log.emit(event)
        self.assertEqual(self.said(), ["Warning: mend {this}", "Warning: full", "better"])
        self.assertEqual([event["log_level"] for event in self.seen], [LogLevel.warn, LogLevel.warn, LogLevel.info])

    def test_names_of_ports(self) -> None:
        """Twisted's own line on each port has words, and no name of a class."""
        for kind in (UnloggedSite, LimitedTLSFactory, _Bounded, Listener):
            made = kind.__new__(kind)
            made.listener = type("Listener", (), {"name": "relay"})()
            self.assertNotRegex(made.logPrefix(), "[a-z][A-Z]|_")
            self.assertIn(" ", made.logPrefix())

    def test_never_stopped(self) -> None:
        """A gateway that couldn't be started ends with a failure, even where what stops it doesn't come about."""
        script = (
            "import time\nfrom twisted.python.failure import Failure\nfrom seg.gateway import startup\nstartup.STOPPING = 1\n"
            "startup.tell_failed(Failure(MemoryError()), lambda error: error)\ntime.sleep(30)\n"
        )
        ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=25)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("seg: not started: out of memory", ended.stderr)
