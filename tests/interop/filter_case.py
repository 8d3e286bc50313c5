"""What milters of others are tried with: edits that leave all else as it was, and what happens while the milter is down."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.base import without_trace
from tests.e2e.test_30_filters import RECIPIENT, SENDER, FilterCase
from tests.interop.messages import MESSAGES, hand_in

AWAY = b"451 4.7.1 Service unavailable; try again later"
# Those that careless software changes; the two of megabytes are tried with the servers.
TRIED = tuple(name for name in MESSAGES if name not in ("large", "huge"))


class OtherMilterCase(FilterCase):
    """A class for one milter says how it is started."""

    async def milter(self, path: Path) -> None:
        """Start it, and wait until it listens at this unix socket."""
        raise NotImplementedError

    async def one(self, content: bytes) -> tuple[bytes, bytes]:
        """Send a message; what was put above the gateway's own field, and all below it."""
        assert self.gateway is not None
        before = len(self.internet.messages("receiver.example"))
        await hand_in(self.gateway.port, SENDER, RECIPIENT, content, ["BODY=8BITMIME"])
        found = (await self.internet.wait_for_messages("receiver.example", before + 1))[-1].content
        above, received, rest = found.partition(b"Received: from ")
        return above, without_trace(received + rest)[1]

    async def passed(self, *names: str) -> dict[str, tuple[bytes, bytes]]:
        """`one` for each of `MESSAGES` that is named."""
        return {name: await self.one(MESSAGES[name]) for name in names}

    async def down_and_up(self, name: str) -> None:
        """Mail is refused for now before the milter is started, and taken once it is."""
        socket = self.folder / "other.sock"
        gateway = await self.start_filtered({"name": name, "address": f"unix:{socket}"})
        self.assertEqual(await self.refusal(MESSAGES["plain"]), AWAY)
        await gateway.wait_for_log(f"filter {name} is away, so tempfail")
        await self.milter(socket)
        self.assertEqual(await self.refusal(MESSAGES["plain"]), b"")
        await self.internet.wait_for_messages("receiver.example")
        facts = await self.seg_json("status")
        self.assertEqual(facts["counters"]["filters"][name]["accept"], 1)

    async def wait_for_socket(self, socket: Path, *command: str) -> None:
        """Start a milter that listens at this socket."""

        async def listening() -> bool:
            return socket.exists()

        # libmilter looks for a TERM every five seconds only.
        await self.spawn(listening, *command, end_by="KILL")
