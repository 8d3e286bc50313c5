"""The real gateway, ``twistd seg``, as a child process with a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport, IReactorProcess, IReactorThreads, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure

import seg
from seg.lab.configuration import GatewayFiles
from seg.lab.maillog import Follower, LoggedEvent, event_of

T = TypeVar("T")

LOOK = 0.02  # seconds between two looks at the log
OUTPUT_KEPT = 65536  # octets of the child's own output
# twistd by way of the interpreter, so that it's found whatever PATH says.
RUN_SEG = "from seg.cli.main import main; main()"
TWISTD = "from twisted.scripts.twistd import run; run()"
RUN = (sys.executable, "-c", TWISTD, "-n", "--pidfile=", "--logfile=-", "seg", "--config")


class LabGatewayError(Exception):
    """The gateway didn't do what was waited for; the text ends with the last lines that it wrote."""


@attrs.frozen
class CommandResult:
    """What a command did."""

    status: int
    output: str
    errors: str


class GatewayProcess:
    """One gateway: `start`, `inject`, look at `log_lines` and `events`, `stop` or `kill`, start again."""

    def __init__(
        self, reactor: IReactorProcess, folder: Path, files: GatewayFiles, *, command: Sequence[str] = RUN
    ) -> None:
        """:param folder: working directory of the gateway (made if need be): configuration and ``var``.
        :param command: what is run, with the path of the configuration behind it.
        """
        self.reactor = reactor
        self.folder = folder
        self.port = files.port
        self.address = "127.0.0.1"
        self.configuration = files.write(folder)
        self.var = folder / "var"
        self.log = self.var / "log" / "mail.log"
        self.json_log = self.var / "log" / "mail.jsonl"
        self.socket = self.var / "run" / "seg.sock"
        self.exit_status: int | None = None
        self._command = (*command, str(self.configuration))
        self._child: _Child | None = None
        self._lines: list[str] = []
        self._line_follower = Follower(self.log)
        self._events: list[LoggedEvent] = []
        self._event_follower = Follower(self.json_log)

    # --- life ---

    async def start(self, timeout: float = 20.0) -> None:
        """Start it and wait until it listens.

        :raises GatewayError: it ended, or didn't listen within `timeout` seconds.
        """
        if self._child is not None:
            raise LabGatewayError("the gateway runs already")
        before = len(self.events())
        self.exit_status = None
        self._child = _Child(self._ended)
        self.reactor.spawnProcess(
            self._child,
            self._command[0],
            self._command,
            env=self._environment(),
            path=str(self.folder),
        )

        def listening() -> bool | None:
            if self._child is None:
                raise LabGatewayError(self._report("The gateway ended while it was started."))
            return any(e.matches("listener_started", {"port": self.port}) for e in self.events()[before:]) or None

        await self._until(listening, timeout, "The gateway didn't start to listen")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._child is not None

    @property
    def pid(self) -> int:
        """Its process id, 0 when it doesn't run."""
        child = self._child
        return child.transport.pid if child is not None and child.transport is not None else 0

    async def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        await self._signal(signal.SIGKILL)

    async def stop(self, timeout: float = 25.0) -> int:
        """SIGTERM, and wait for the end; return the exit status (negative: the signal that ended it).

        :raises GatewayError: it was still there after `timeout` seconds, and was killed.
        """
        late = IReactorTime(self.reactor).callLater(timeout, self._send, signal.SIGKILL)
        await self._signal(signal.SIGTERM)
        if not late.active():
            raise LabGatewayError(self._report(f"The gateway didn't stop within {timeout:g} seconds and was killed."))
        late.cancel()
        return self.exit_status or 0

    async def restart(self, timeout: float = 20.0) -> None:
        """Stop it if it runs, and start it."""
        if self.running:
            await self.stop()
        await self.start(timeout)

    def _send(self, number: int) -> None:
        if self._child is not None and self._child.transport is not None:
            try:
                self._child.transport.signalProcess(number)
            except ProcessExitedAlready:
                return  # its end is being reported

    async def _signal(self, number: int) -> None:
        if self._child is not None:
            ended = self._child.when_ended()
            self._send(number)
            await ended

    def _ended(self, status: int, output: bytes) -> None:
        self._last_output = output
        self.exit_status = status
        self._child = None

    # --- what it says ---

    def log_lines(self) -> list[str]:
        """All lines of the mail log so far."""
        self._lines += self._line_follower.new_lines()
        return self._lines

    def events(self, name: str = "", **fields: Any) -> list[LoggedEvent]:
        """All events so far, or those of this name that have all these fields."""
        self._events += [event_of(line) for line in self._event_follower.new_lines() if line]
        return [event for event in self._events if not name or event.matches(name, fields)]

    def output(self) -> str:
        """What the process wrote on its standard output and error (the end of it)."""
        data = self._child.output if self._child is not None else self._last_output
        return data.decode("utf-8", "replace")

    _last_output = b""

    async def wait_for_log(self, pattern: str, timeout: float = 10.0) -> str:
        """The first line of the mail log in which the regular expression is found.

        :raises GatewayError: there is none after `timeout` seconds.
        """
        wanted = re.compile(pattern)

        def look() -> str | None:
            return next((line for line in self.log_lines() if wanted.search(line)), None)

        return await self._until(look, timeout, f"No line with {pattern!r} came into the mail log")

    async def wait_for_event(self, name: str, timeout: float = 10.0, *, count: int = 1, **fields: Any) -> LoggedEvent:
        """The event of this name that has all these fields; the one at place `count`.

        :raises GatewayError: there is none after `timeout` seconds.
        """

        def look() -> LoggedEvent | None:
            found = self.events(name, **fields)
            return found[count - 1] if len(found) >= count else None

        return await self._until(look, timeout, f"No event {name} {fields or ''} came")

    async def _until(self, look: Callable[[], T | None], timeout: float, complaint: str) -> T:
        clock = IReactorTime(self.reactor)
        end = clock.seconds() + timeout
        while True:
            found = look()
            if found is not None:
                return found
            if clock.seconds() > end:
                raise LabGatewayError(self._report(f"{complaint} within {timeout:g} seconds."))
            await deferLater(clock, LOOK)

    def _report(self, what: str) -> str:
        status = "" if self.exit_status is None else f" Its exit status is {self.exit_status}."
        last = [*self.output().splitlines()[-15:], *self.log_lines()[-15:]]
        return "\n".join([what + status, *(f"  {line}" for line in last)])

    # --- mail and commands ---

    def inject(
        self,
        sender: str,
        recipients: str | Sequence[str],
        content: bytes | str = "Subject: test\r\n\r\ntest\r\n",
        *,
        options: Sequence[str] = (),
        timeout: float = 30.0,
    ) -> Deferred[dict[str, tuple[int, bytes]]]:
        """Hand in a message as any SMTP client would; fires with the recipients that were refused.

        :param content: header and body; line ends become CRLF.
        :param options: parameters of MAIL.
        Fails with `smtplib.SMTPException` or `OSError`.
        """
        addresses = [recipients] if isinstance(recipients, str) else list(recipients)

        def send() -> dict[str, tuple[int, bytes]]:
            with smtplib.SMTP(self.address, self.port, local_hostname="client.lab.example", timeout=timeout) as client:
                return client.sendmail(sender, addresses, content, mail_options=list(options))

        threads = IReactorThreads(self.reactor)
        return deferToThreadPool(threads, threads.getThreadPool(), send)

    @property
    def command(self) -> tuple[str, ...]:
        """The ``seg`` command for this gateway, verb and arguments to follow."""
        return (sys.executable, "-c", RUN_SEG, "--config", str(self.configuration))

    async def seg(self, *arguments: str) -> CommandResult:
        """Run the ``seg`` command against this gateway: ``await gateway.seg("queue", "list")``."""
        program, *command = (*self.command, *arguments)
        output, errors, status = await getProcessOutputAndValue(
            program, command, env=self._environment(), path=str(self.folder), reactor=self.reactor
        )
        return CommandResult(status, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))

    def _environment(self) -> dict[str, str]:
        """The package's own folder goes first, so that a checkout runs itself whatever is installed."""
        path = (str(Path(seg.__file__).parent.parent), os.environ.get("PYTHONPATH"))
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONUNBUFFERED": "1"}


class _Child(ProcessProtocol):
    """The process: keeps the end of what it writes, and tells its end."""

    transport: IProcessTransport | None

    def __init__(self, on_end: Callable[[int, bytes], None]) -> None:
        self._on_end = on_end
        self._waiting: list[Deferred[None]] = []
        self.output = b""

    def when_ended(self) -> Deferred[None]:
        """Fires when the process is gone."""
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        return done

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Keep the last of it."""
        self.output = (self.output + data)[-OUTPUT_KEPT:]

    def processEnded(self, reason: Failure) -> None:
        """Tell whoever waits."""
        number = reason.value.signal  # type: ignore[union-attr]
        status = reason.value.exitCode  # type: ignore[union-attr]
        self._on_end(-number if number else status or 0, self.output)
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)
