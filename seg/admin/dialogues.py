"""Domain debug over the API: whose SMTP dialogues are written into the mail log."""

from __future__ import annotations

from seg.admin.http import APIError, RouteTable
from seg.admin.wire import operations
from seg.admin.wire.destinations import DialoguesAnswer, WatchDialogues
from seg.admin.wire.route import NoParameters
from seg.check.checks import CheckError, parse_domain
from seg.deliver.debug_peers import DebugPeers
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed


class DialogueRoutes:
    """Shows and changes whose dialogues those are."""

    def __init__(self, dialogues: DebugPeers, sink: IEventSink) -> None:
        self._dialogues = dialogues
        self._sink = sink

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.LIST_DIALOGUES, self.watched)
        table.add(operations.WATCH_DIALOGUES, self.watch)

    async def watched(self, asked: NoParameters, by: str) -> DialoguesAnswer:
        """Which destinations are watched, and for how many sessions more."""
        return DialoguesAnswer(self._dialogues.watched())

    async def watch(self, asked: WatchDialogues, by: str) -> DialoguesAnswer:
        """Watch a destination's next sessions."""
        try:
            domain = parse_domain(asked.domain)
            self._dialogues.watch(domain, asked.sessions)
        except (CheckError, ValueError) as error:
            raise APIError(400, str(error)) from None
        self._sink.emit(OperatorActed(by, f"debug {domain} for {asked.sessions} sessions"))
        return DialoguesAnswer(self._dialogues.watched())
