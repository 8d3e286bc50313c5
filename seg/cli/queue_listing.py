"""The queue as Postfix's mailq shows it."""

from __future__ import annotations

import time
from typing import Any

from seg.cli.client import GatewayClient
from seg.cli.output import say

TITLE = "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------"
MARKS = {"held": "!", "active": "*"}
MOST = 100_000


def listing(found: dict[str, Any]) -> str:
    """The text for an answer of ``GET /v1/messages``."""
    messages = found["messages"]
    if not messages:
        return "Mail queue is empty\n"
    octets = sum(message["size"] for message in messages)
    blocks = [_block(message) for message in messages]
    requests = f"{found['total']} Request{'s' if found['total'] != 1 else ''}"
    return f"{TITLE}\n" + "\n".join(blocks) + f"\n-- {(octets + 1023) // 1024} Kbytes in {requests}.\n"


def _block(message: dict[str, Any]) -> str:
    mark = MARKS.get(message["state"], " ")
    arrived = time.asctime(time.localtime(message["arrived"]))[:19]  # "Sun Jan  2 03:04:05"
    sender = message["sender"] or "MAILER-DAEMON"
    lines = [f"{str(message['mid']) + mark:<11} {message['size']:>8} {arrived:<20} {sender}"]
    if message["error"]:
        lines.append(f"({message['error']})".rjust(78))
    lines += [" " * 42 + address for address in message["recipients"]]
    more = message["waiting"] - len(message["recipients"])
    if more > 0:
        lines.append(" " * 42 + f"and {more} more")
    return "\n".join(lines) + "\n"


def show(gateway: GatewayClient) -> None:
    """Print it."""
    say(listing(gateway.get("/v1/messages", limit=MOST)), nl=False)
