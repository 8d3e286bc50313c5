"""Domain debug over the API: whose SMTP dialogues are written into the mail log."""

from __future__ import annotations

from seg.admin.http import APIError, APIRequest, RouteTable
from seg.check.checks import CheckError, parse_domain
from seg.deliver.debug_peers import DebugPeers
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed

MOST_SESSIONS = 1000  # with one destination


class DialoguesAPI:
    """Serves ``/v1/debug``."""

    def __init__(self, dialogues: DebugPeers, sink: IEventSink) -> None:
        self._dialogues = dialogues
        self._sink = sink

    def add_to(self, table: RouteTable) -> None:
        """Take the path."""
        table.add("GET", "/v1/debug", self.watched)
        table.add("POST", "/v1/debug", self.watch)

    async def watched(self, call: APIRequest) -> object:
        """Which destinations are watched, and for how many sessions more."""
        return {"domains": self._dialogues.watched()}

    async def watch(self, call: APIRequest) -> object:
        """Watch a destination's next sessions; body: domain, sessions (1 without it; 0 ends the watching)."""
        text, sessions = call.body.get("domain"), call.body.get("sessions", 1)
        if not isinstance(text, str) or not text:
            raise APIError(400, "domain must be the domain of a recipient")
        if type(sessions) is not int or not 0 <= sessions <= MOST_SESSIONS:
            raise APIError(400, f"sessions must be a number from 0 to {MOST_SESSIONS}")
        try:
            domain = parse_domain(text)
            self._dialogues.watch(domain, sessions)
        except (CheckError, ValueError) as error:
            raise APIError(400, str(error)) from None
        self._sink.emit(OperatorActed(call.by, f"debug {domain} for {sessions} sessions"))
        return await self.watched(call)
