"""Messages for filters to judge."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from seg.filter.header import parse_header
from seg.filter.message import Client, FilteredMessage, HeaderField, OctetContent, SessionTLS
from seg.mail.envelope import BodyType, Recipient
from seg.queue.interfaces import IMessageWriter
from seg.smtp.commands import MailArguments
from tests.doubles import MemoryQueue

TRACE = b"Received: from client.test ([192.0.2.9])\r\n\tby mx.test with ESMTPS id 7;\r\n\tnow\r\n"
HEADER = b"From: a@one.test\r\nSubject: hello,\r\n world\r\nX-Spam: no\r\nx-spam : maybe\r\n"


def scratch() -> Callable[[], IMessageWriter]:
    """Makes writers in memory."""
    queue = MemoryQueue()
    return lambda: queue.begin(7)


def message(header: bytes = HEADER, body: bytes = b"text\r\n", **changes: Any) -> FilteredMessage:
    """MID 7, from a client with everything."""
    facts: dict[str, Any] = {
        "mid": 7,
        "client": Client(
            5,
            "relay",
            ip_address("192.0.2.9"),
            "client.test",
            "helo.test",
            tls=SessionTLS("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256),
            user="alice",
            mechanism="PLAIN",
        ),
        "sender": MailArguments("a@one.test", size=100, body=BodyType.EIGHT_BIT),
        "recipients": (Recipient(0, "b@two.test"), Recipient(1, "C@Three.test")),
        "header": (HeaderField(TRACE, ours=True), *parse_header(header)[0]),
        "body": OctetContent(body),
        "max_size": 1_000_000,
        "scratch": scratch(),
    }
    return FilteredMessage(**(facts | changes))
