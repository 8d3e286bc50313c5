"""Everything that an operator can ask or have done, as one object; HTTP and the ``seg`` command go through it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, gatherResults

from seg.admin.conditions import Conditions
from seg.admin.http import APIError, APIRequest, RawResponse, RouteTable
from seg.admin.names import asked_domain
from seg.admin.suspension import Suspension
from seg.admin.traffic import Traffic
from seg.admin.turns import in_turns
from seg.config.problems import offered
from seg.config.routes_file import next_hop
from seg.mail.causes import CauseKind
from seg.queue.commands import MessageDetails, MessageState, MessageSummary
from seg.queue.spool import Spool
from seg.tls.expiry import Lasting
from seg.version import __version__

MAX_LISTED = 100_000  # messages in one answer
NOT_QUEUED = "isn't in the queue"
NOTHING_WAITS = f"{NOT_QUEUED}, or nothing of it waits"
SHOWN = 3  # recipients of a message in a list
AT_ONCE = 500  # messages looked at before the reactor gets its turn
BATCH = 256  # messages acted on side by side; their files are made durable together

QueueAction = Callable[[int, str], Coroutine[Any, Any, str]]  # MID and who wants it; "", or why it can't be done


class StatusGauges(Protocol):
    """What is going on right now."""

    def connections_in(self) -> int:
        """Clients connected."""

    def attempts(self) -> int:
        """Attempts under way."""

    def connections_idle(self) -> int:
        """Connections that wait for another message."""

    def listeners(self) -> Sequence[tuple[str, str, int]]:
        """(name, address, port) of each listener."""

    def resolver_validates(self) -> bool | None:
        """Whether the AD bit can be believed; None: no trusted resolver has said so far."""

    def certificates(self) -> Sequence[Lasting]:
        """Our own certificates in use."""

    def exemptions(self) -> int:
        """Destinations that are exempt from their policies now."""

    @property
    def suspension(self) -> Suspension:
        """What is suspended."""


@attrs.frozen
class Identity:
    """Which gateway this is."""

    hostname: str
    configuration: Path
    started: float  # POSIX seconds


class AdminAPI:
    """Answers questions and carries out commands."""

    def __init__(
        self,
        identity: Identity,
        queue: Spool,
        gauges: StatusGauges,
        traffic: Traffic,
        conditions: Conditions,
        uptime: Callable[[], float],
    ) -> None:
        self._identity = identity
        self._queue = queue
        self._gauges = gauges
        self._traffic = traffic
        self._conditions = conditions
        self._uptime = uptime
        self._actions: dict[str, QueueAction] = {
            "hold": self._hold,
            "release": self._release,
            "delete": self._delete,
            "retry": self._retry,
            "bounce": self._bounce,
        }

    def routes(self) -> RouteTable:
        """The API as method and path."""
        table = RouteTable()
        table.add("GET", "/v1/openapi", self.description)
        table.add("GET", "/v1/status", self.status)
        table.add("GET", "/v1/messages", self.messages)
        table.add("POST", "/v1/messages", self.act)
        table.add("GET", "/v1/messages/{mid}", self.message)
        self._traffic.add_to(table)
        return table

    async def description(self, call: APIRequest) -> object:
        """The API as an OpenAPI document."""
        return RawResponse(files(__package__).joinpath("openapi.json").read_bytes(), "application/json")

    async def status(self, call: APIRequest) -> object:
        """How the gateway is doing."""
        identity, gauges = self._identity, self._gauges
        return {
            "version": __version__,
            "hostname": identity.hostname,
            "pid": os.getpid(),
            "configuration": str(identity.configuration),
            "started": identity.started,
            "uptime": self._uptime(),
            "listeners": [{"name": n, "address": a, "port": p} for n, a, p in gauges.listeners()],
            "resolver_validates": gauges.resolver_validates(),
            "exemptions": gauges.exemptions(),
            "certificates": [attrs.asdict(each) | {"soon": each.soon} for each in gauges.certificates()],
            "suspension": gauges.suspension.facts(),
            "conditions": self._conditions.facts(),
            "queue": attrs.asdict(self._queue.counts()),
            "gauges": {
                "connections_in": gauges.connections_in(),
                "attempts": gauges.attempts(),
                "connections_idle": gauges.connections_idle(),
                "memory": _resident(),
            },
            **self._traffic.facts(),
        }

    async def messages(self, call: APIRequest) -> object:
        """The waiting messages; query: domain, sender, held, cause, limit, after (only those with a higher MID: the next page)."""
        limit = call.number("limit", 100, MAX_LISTED)
        total = 0
        shown: list[dict[str, object]] = []
        everything = not {"domain", "sender", "held", "cause", "after"} & call.query.keys()
        page = "after" in call.query
        async for message in self._matching(call.query, call.number("after", 0, 10**12 - 1)):
            if everything and total == limit:  # how many there are is known without looking at each
                total = self._queue.counts().messages
                break
            if page and len(shown) == limit:
                break
            total += 1
            if len(shown) < limit:
                shown.append(_listing(message))
        return {"total": total, "messages": shown}

    async def _matching(self, wanted: Mapping[str, Any], after: int = 0) -> AsyncIterator[MessageSummary]:
        """The messages with this domain, sender, held, cause (each may be left out), the oldest first."""
        domain, sender, held = wanted.get("domain"), wanted.get("sender"), wanted.get("held")
        cause = _cause(wanted.get("cause"))
        mention = (
            (sender or "").lower() if domain is None else asked_domain(domain, self._queue.destinations().__contains__)
        )
        for number, mid in enumerate(self._mids(after, cause), 1):
            if not number % AT_ONCE:
                await self._queue.pause()
            message = self._queue.listing(mid, mention, bool(held))
            if message is None or (domain is not None and mention not in message.domains):
                continue
            if sender is not None and sender.lower() != message.sender.lower():
                continue
            if held and message.state is not MessageState.HELD:
                continue
            if cause is not None and cause not in message.causes:
                continue
            yield message

    def _mids(self, after: int, cause: CauseKind | None) -> list[int]:
        """The messages that may be meant."""
        return self._queue.mids(after) if cause is None else [m for m in self._queue.policy_held() if m > after]

    async def message(self, call: APIRequest) -> object:
        """One message."""
        found = await self._queue.show(call.mid)
        if found is None:
            raise APIError(404, f"MID {call.mid} {NOT_QUEUED} (seg queue list shows what is)")
        return await _in_full(found)

    async def act(self, call: APIRequest) -> object:
        """Do one thing to some messages; body: action, and one of mids (a list), domain, all (true); for redirect also host, and
        recipients_at (a domain)."""
        act = self._action(call.body)
        mids = await self._chosen(call.body)
        done: list[int] = []
        refused: dict[str, str] = {}
        not_written: dict[str, str] = {}
        for start in range(0, len(mids), BATCH):
            batch = mids[start : start + BATCH]
            reasons = await gatherResults([Deferred.fromCoroutine(act(mid, call.by)) for mid in batch])
            for mid, reason in zip(batch, reasons, strict=True):
                if reason:
                    refused[str(mid)] = reason
                else:
                    done.append(mid)
                    if why := self._queue.unwritten(mid):
                        not_written[str(mid)] = why
            await self._queue.pause()
        return {"done": done, "refused": refused, "not_written": not_written}

    def _action(self, body: Mapping[str, Any]) -> QueueAction:
        """What a body wants done to one message.

        :raises APIError: 400, there is no such thing.
        """
        name = str(body.get("action"))
        if name == "redirect":
            return self._redirection(body)
        if name not in self._actions:
            known = ", ".join((*self._actions, "redirect"))
            raise APIError(400, f"action must be one of {known}, not {body.get('action')!r}")
        return self._actions[name]

    def _redirection(self, body: Mapping[str, Any]) -> QueueAction:
        host, domain = body.get("host"), body.get("recipients_at", body.get("domain", ""))
        if not isinstance(host, str) or not isinstance(domain, str):
            raise APIError(400, "a redirection wants a host (a text; empty: back to the own route)")
        if host:
            try:
                next_hop(host)
            except ValueError as error:
                raise APIError(400, f"host: {error}") from None

        only = asked_domain(domain, self._queue.destinations().__contains__) if domain else ""

        async def redirect(mid: int, by: str) -> str:
            return "" if await self._queue.redirect(mid, host, by, only) else NOTHING_WAITS

        return redirect

    # Each does it to one message and returns "" or why it can't.

    async def _hold(self, mid: int, by: str) -> str:
        return "" if await self._queue.hold(mid, by) else f"{NOT_QUEUED}, or is held already"

    async def _release(self, mid: int, by: str) -> str:
        return "" if await self._queue.release_hold(mid, by) else f"{NOT_QUEUED}, or isn't held"

    async def _delete(self, mid: int, by: str) -> str:
        return "" if await self._queue.delete(mid, by) else NOT_QUEUED

    async def _retry(self, mid: int, by: str) -> str:
        """What is due already, or being tried, needs nothing more."""
        await self._queue.retry(mid)
        message = self._queue.listing(mid)
        if message is None:
            return NOT_QUEUED
        return "is held (seg queue release)" if message.state is MessageState.HELD else ""

    async def _bounce(self, mid: int, by: str) -> str:
        return "" if await self._queue.bounce(mid, by) else f"{NOT_QUEUED}, or all of it is being tried just now"

    async def _chosen(self, body: Mapping[str, Any]) -> list[int]:
        """The MIDs that a body names."""
        mids, domain = body.get("mids"), body.get("domain")
        if isinstance(mids, list) and all(type(mid) is int for mid in mids):
            return mids
        if isinstance(domain, str):
            return [message.mid async for message in self._matching({"domain": domain})]
        if body.get("all") is True:
            return [message.mid async for message in self._matching({})]
        raise APIError(400, "name messages by mids (a list of message ids), by domain (a text), or by all (true)")


def _cause(name: object) -> CauseKind | None:
    """The cause that a query names, None where it names none.

    :raises APIError: 400, there is no such cause.
    """
    if name is None:
        return None
    try:
        return CauseKind(str(name).lower().replace("_", "-"))
    except ValueError:
        text = str(name)[:100]
        raise APIError(400, f"there is no cause {text!r}{offered(text, CauseKind)}") from None


def _listing(message: MessageSummary) -> dict[str, object]:
    """A message in a list; of many recipients only the first few."""
    facts = attrs.asdict(message)
    facts["recipients"] = list(message.recipients[:SHOWN])
    facts["waiting"] = len(message.recipients)
    return facts


async def _in_full(shown: MessageDetails) -> dict[str, object]:
    """A message with each recipient, and its header."""
    envelope = shown.envelope
    head = shown.head.partition(b"\r\n\r\n")[0]
    return {
        **_listing(shown.listing),
        "client": envelope.client,
        "helo": envelope.helo,
        "body": envelope.body,
        "held": envelope.held,
        "damage": envelope.damage,
        "recipients": [attrs.asdict(recipient) async for recipient in in_turns(envelope.recipients)],
        "header": head.decode("utf-8", "backslashreplace"),
    }


def _resident() -> int:
    """Memory of this process in octets (proc(5), statm)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
