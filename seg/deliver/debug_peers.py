"""Domain debug: the SMTP dialogue of the next sessions with a destination, for the mail log. Passwords stay out of it."""

from __future__ import annotations

from seg.common.echoes import WITHHELD, EchoedSecrets
from seg.events.base import IEventSink
from seg.events.delivery import DialogueLine
from seg.smtp.reply import Phase
from seg.smtp.reply_parser import MAX_LINES

MOST_DOMAINS = 100  # watched at a time
MOST_LINES = 5000  # told of one connection: the server chooses how many it says
LONGEST_LINE = 2000  # octets shown of one line
CLIENT, SERVER = "C", "S"
_HIDDEN = b"***"
_CHALLENGE = b"334"


class DialogueLog:
    """Tells the log what goes over one connection, line by line."""

    def __init__(self, dcid: int, domain: str, sink: IEventSink) -> None:
        self._dcid = dcid
        self._domain = domain
        self._sink = sink
        self._left = MOST_LINES
        self._begun = b""  # of the server's line that isn't complete yet
        self._reply: list[bytes] = []  # lines of the reply that isn't complete yet, once there is something to hide
        self.echoes: EchoedSecrets | None = None  # what the server isn't to be shown to say

    def sent(self, data: bytes, phase: Phase | None) -> None:
        """What we say; `phase` is what the server owes then. What AUTH (RFC 4954) carries isn't told."""
        for line in data.splitlines():
            if phase is Phase.AUTH:
                words = line.split()
                line = b" ".join((*words[:2], _HIDDEN)) if words[:1] == [b"AUTH"] else _HIDDEN
            self._tell(CLIENT, line)

    def received(self, data: bytes, phase: Phase | None) -> None:
        """What the server says."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        self._begun = self._begun[:LONGEST_LINE]
        for line in lines[: max(0, self._left) + 1]:
            hidden = phase is Phase.AUTH and line.startswith(_CHALLENGE)
            self._heard(_CHALLENGE + b" " + _HIDDEN if hidden else line.rstrip(b"\r"))

    def _heard(self, line: bytes) -> None:
        """Tell a line, or where a secret may go over several all lines of the reply once they are there."""
        if self.echoes is None:
            self._tell(SERVER, line)
            return
        self._reply.append(line[:LONGEST_LINE])
        if line[3:4] == b"-" and len(self._reply) < MAX_LINES:
            return
        lines, self._reply = self._reply, []
        texts = (each[4:] if each[:3].isdigit() else each for each in lines)
        withheld = self.echoes.withheld(text.decode("ascii", "backslashreplace") for text in texts)
        for each in lines:
            self._tell(SERVER, each[:4] + WITHHELD.encode() if withheld else each)

    def note(self, text: str) -> None:
        """What happens besides."""
        self._tell(CLIENT, text.encode())

    def _tell(self, who: str, line: bytes) -> None:
        if self._left <= 0:
            if self._left == 0:
                self._left = -1
                self._sink.emit(
                    DialogueLine(self._dcid, self._domain, CLIENT, f"(more than {MOST_LINES} lines: not shown)")
                )
            return
        self._left -= 1
        more = "..." if len(line) > LONGEST_LINE else ""
        text = line[:LONGEST_LINE].decode("utf-8", "backslashreplace") + more
        self._sink.emit(DialogueLine(self._dcid, self._domain, who, text))


class DebugPeers:
    """Which destinations are watched, and for how many sessions more."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def watch(self, domain: str, sessions: int) -> None:
        """Watch the next so many sessions with a domain; 0 ends it.

        :raises ValueError: too many domains are watched.
        """
        if sessions and domain not in self._left and len(self._left) >= MOST_DOMAINS:
            raise ValueError(f"{MOST_DOMAINS} domains are watched already")
        self._left.pop(domain, None)
        if sessions:
            self._left[domain] = sessions

    def watched(self) -> dict[str, int]:
        """Sessions still to come by domain."""
        return dict(self._left)

    def wanted(self, domain: str) -> bool:
        """Whether the next session with a domain is to be watched: it has to be a new one, then."""
        return bool(self._left) and domain in self._left

    def tap(self, dcid: int, domain: str, sink: IEventSink) -> DialogueLog | None:
        """The tap for a connection that was just made; it counts as one session."""
        if not self.wanted(domain):
            return None
        self.watch(domain, self._left[domain] - 1)
        return DialogueLog(dcid, domain, sink)
