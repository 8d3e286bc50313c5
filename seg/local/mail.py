"""Mail for this machine, as the running gateway knows it: the aliases are read again when they, or a file that they include, have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from seg.auth.reloading_file import FileFormat, ReloadingFile, Unreadable
from seg.config.destinations import Destinations
from seg.config.schema import GatewaySettings
from seg.config.trust import of_caller
from seg.events.gateway import Notice
from seg.events.runtime import Runtime
from seg.local.aliases import Aliases, parse_aliases
from seg.local.includes import Includes
from seg.local.table import LocalTable, local_domains, local_table
from seg.mail.envelope import Envelope

EVERY = 1.0  # seconds between two looks at the files


class LocalMail:
    """Says who gets mail for this machine, at any time and without waiting.

    :param destinations: those in force: a domain with an SMTP route is served elsewhere.
    """

    def __init__(
        self, runtime: Runtime, path: Path, settings: GatewaySettings, destinations: Callable[[], Destinations]
    ) -> None:
        self._settings = settings
        self._hostname = runtime.hostname
        self._destinations = destinations
        self._sink = runtime.sink
        self._includes = Includes(of_caller())
        kind = FileFormat(
            "aliases file",
            self._parse,
            "no alias counts",
            "mend it",
            secret=False,
            needed=False,
            stale=self._includes.changed,
        )
        self._file = ReloadingFile(path, kind, runtime.in_thread, runtime.sink, runtime.reactor.seconds, 0.0)
        self._aliases = Aliases()
        self._known = False  # the aliases have been read once
        self._unreadable = ""
        self._made_of: object = None
        self._table: LocalTable | None = None
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.look()))
        self._loop.clock = runtime.reactor
        self._ended: Deferred[Any] | None = None

    def _parse(self, text: str) -> Aliases:
        self._includes.begin()
        domains = local_domains(self._settings, self._hostname, self._destinations())
        return parse_aliases(text, self._includes.read, domains.__contains__)

    async def look(self) -> None:
        """Read what has changed. While the aliases can't be read, those known count."""
        try:
            self._aliases, self._unreadable, self._known = await self._file.contents(), "", True
        except Unreadable as error:
            self._unreadable = "" if self._known else str(error)

    def start(self) -> None:
        """Look again and again from now on."""
        self._ended = self._loop.start(EVERY, now=False)

    async def stop(self) -> None:
        """Fires when no look is under way."""
        if self._loop.running:
            self._loop.stop()
            assert self._ended is not None
            await self._ended

    def table(self) -> LocalTable:
        """What is known now."""
        destinations = self._destinations()
        made_of = (self._aliases, destinations, self._unreadable)
        if self._table is None or made_of != self._made_of:
            self._made_of = made_of
            self._table = local_table(self._settings, self._hostname, destinations, self._aliases, self._unreadable)
        return self._table

    def readdressed(self, envelope: Envelope) -> Envelope:
        """The envelope as it goes into the queue: those who get local mail in the place of its addresses."""
        envelope, told = self.table().readdressed(envelope)
        for line in told:
            self._sink.emit(Notice(f"MID {envelope.mid}: {line}"))
        return envelope
