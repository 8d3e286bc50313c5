"""An adapter without I/O that says yes to everything, for tests of the server core."""

from __future__ import annotations

from seg.smtp import server_events as events
from seg.smtp.server import ServerConnection
from seg.smtp.server_options import ServerOptions


def options(**changed: object) -> ServerOptions:
    """Options of a server with TLS and generous limits."""
    values: dict[str, object] = {
        "hostname": "mx.test",
        "max_message_size": 10000,
        "max_faults": 1000,
        "max_refusals": 1000,
        "max_idle_commands": 1000,
        "normalise": False,
        "starttls": True,
    }
    return ServerOptions(**(values | changed))  # type: ignore[arg-type]


class AcceptingServer:
    """Feeds a core, accepts what it asks, and keeps what it told."""

    def __init__(self, **changed: object) -> None:
        self.core = ServerConnection(options(**changed))
        self.core.greet()
        self.core.data_to_send()
        self.events: list[events.ServerEvent] = []
        self.messages: list[bytes] = []
        self.out = b""
        self._content = b""

    def feed(self, data: bytes) -> bytes:
        """What the server says to these octets."""
        for event in self.core.receive(data):
            self.events.append(event)
            match event:
                case events.MailCommand() | events.RcptCommand():
                    self.core.accept()
                case events.DataStarted():
                    self._content = b""
                case events.ContentReceived(piece):
                    self._content += piece
                case events.ContentEnded():
                    self.messages.append(self._content)
                    self.core.accept()
        said = self.core.data_to_send()
        self.out += said
        return said

    def codes(self, data: bytes) -> list[int]:
        """The codes of the replies to these octets; lines that go on aren't counted."""
        return [int(line[:3]) for line in self.feed(data).split(b"\r\n") if line and line[3:4] == b" "]


TRANSACTION = b"EHLO client.test\r\nMAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\nDATA\r\n"
