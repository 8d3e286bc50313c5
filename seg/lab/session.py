"""One SMTP session of a receiving MTA (RFC 5321): lines in, replies out, and everything taken down."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast
from typing import Protocol as Structure

import attrs
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.lab.arrivals import Arrivals, ReceivedMessage
from seg.lab.behaviour import Behaviour, StartTLS
from seg.lab.contexts import NamedContexts, server_name

MAX_LINE = 1 << 20
CLASSICAL_ONLY = (StartTLS.CLASSICAL_HANGS, StartTLS.CLASSICAL_CLOSES)
POST_QUANTUM = b"\x11\xec"  # X25519MLKEM768 in the list of groups of a client hello
INJECTED = b"250-injected.invalid\r\n250 XINJECTED\r\n"
INJECTION_WAIT = 0.3  # seconds in which a client that took INJECTED for our reply gives itself away


class ISessionOwner(Structure):
    """What a session needs of the receiver that it belongs to."""

    reactor: Any
    host: str
    behaviour: Behaviour
    arrivals: Arrivals
    greylisted: dict[tuple[str, str, str], int]

    @property
    def staying(self) -> int:
        """Sessions that haven't said QUIT."""

    def contexts(self) -> NamedContexts:
        """Of the TLS side."""

    def opened(self, session: SMTPSession) -> None:
        """A session has begun."""

    def leaving(self, session: SMTPSession) -> None:
        """It has said QUIT."""

    def closed(self, session: SMTPSession) -> None:
        """It is over."""


@attrs.define
class ReceiverSession:
    """One connection, from the receiver's side."""

    client: str
    helo: str = ""
    tls: str = ""  # version once the handshake is done
    cipher: str = ""
    sni: str = ""
    handshake_failed: bool = False
    commands: list[tuple[bool, bytes]] = attrs.field(factory=list)  # (inside TLS, line without CRLF)
    faults: list[str] = attrs.field(factory=list)  # what the client did against the RFCs

    @property
    def envelope_in_clear(self) -> bool:
        """Whether anything of an envelope was said outside TLS."""
        return any(not inside and line[:5].upper() in (b"MAIL ", b"RCPT ") for inside, line in self.commands)

    @property
    def verbs(self) -> list[str]:
        """The commands in order, first word only."""
        return [line.split(b" ", 1)[0].upper().decode("latin-1") for _, line in self.commands]


@implementer(IHandshakeListener)
class SMTPSession(Protocol):
    """One session. Lines end with CRLF and with nothing else (RFC 5321 §2.3.8)."""

    def __init__(self, receiver: ISessionOwner) -> None:
        self._receiver = receiver
        self._says = receiver.behaviour
        self._lines: deque[bytes] = deque()  # whole ones that wait
        self._buffer = b""  # the beginning of the next
        self._inside_tls = False
        self._awaits_handshake = False
        self._content: list[bytes] | None = None  # lines of DATA, None = commands are read
        self._content_size = 0
        self._late = 0.0
        self._clock = IReactorTime(receiver.reactor)
        self._calls: list[IDelayedCall] = []
        self._closing = False
        self._owes_ehlo = False
        self._taken = 0  # messages on this connection
        self._forget_envelope()

    # --- transport ---

    def connectionMade(self) -> None:
        """Greet."""
        assert self.transport is not None
        self.session = ReceiverSession(client=cast(Any, self.transport.getPeer()).host)
        self._receiver.opened(self)
        if 0 < self._says.connections < self._receiver.staying:
            self._reply("421 4.7.0 too many connections")
            self._close()
            return
        self._reply(self._says.banner or f"220 {self._receiver.host} ESMTP")
        if self._says.banner and not self._says.banner.startswith("220"):
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note a handshake that never ended."""
        if self._awaits_handshake:
            self.session.handshake_failed = True
        for call in self._calls:
            if call.active():
                call.cancel()
        self._receiver.closed(self)

    def handshakeCompleted(self) -> None:
        """Note what was agreed upon."""
        assert self.transport is not None
        connection = self.transport.getHandle()  # type: ignore[attr-defined]
        self.session.tls = connection.get_protocol_version_name()
        self.session.cipher = connection.get_cipher_name() or ""
        self.session.sni = server_name(connection)
        self._awaits_handshake = False

    def abort(self) -> None:
        """Drop the connection at once."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        """Take lines apart and act on each."""
        if self._closing or self._broken_handshake(data):
            return
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        self._lines.extend(lines)
        while self._lines and not self._closing:
            line = self._lines.popleft()
            if self._content is None:
                self._command(line)
            else:
                self._content_line(line)
        if len(self._buffer) > MAX_LINE:
            self.session.faults.append("line longer than 1 MiB")
            self.abort()

    def _broken_handshake(self, data: bytes) -> bool:
        """Whether these octets go nowhere because the handshake is one of the broken kinds."""
        if not self._awaits_handshake or self._inside_tls:
            return False
        if self._says.starttls in CLASSICAL_ONLY and POST_QUANTUM not in data:
            self._start_tls()
            self.transport.protocol.dataReceived(data)  # type: ignore[union-attr]  # TLS stands in between now
            return True
        if self._says.starttls in (StartTLS.CLOSES, StartTLS.CLASSICAL_CLOSES):
            self.abort()
        elif self._says.starttls is StartTLS.GARBAGE:
            self._write(b"this is no ServerHello\r\n" * 4)
            self._close()
        return True

    # --- replies ---

    def _reply(self, text: str) -> None:
        end = b"\r\n\r\n" if self._says.empty_lines else b"\r\n"
        self._later(lambda: self._write(text.encode() + end))

    def _close(self) -> None:
        self._closing = True
        self._later(self._lose)

    def _lose(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _later(self, action: Callable[[], object]) -> None:
        """Do it now, or `delay` seconds after what waits already."""
        if not self._says.delay:
            action()
            return
        now = self._clock.seconds()
        self._late = max(self._late, now) + self._says.delay
        self._call(self._late - now, action)

    def _call(self, seconds: float, action: Callable[[], object]) -> None:
        """Do it later, unless the connection is gone by then."""
        self._calls = [call for call in self._calls if call.active()]
        self._calls.append(self._clock.callLater(seconds, action))

    # --- commands ---

    def _forget_envelope(self) -> None:
        self._reverse_path: str | None = None
        self._parameters: tuple[str, ...] = ()
        self._recipients: list[str] = []

    def _command(self, line: bytes) -> None:
        self.session.commands.append((self._inside_tls, line))
        if b"\n" in line or b"\r" in line:
            self.session.faults.append(f"bare CR or LF in a command: {line!r}")
        if self._owes_ehlo:
            self.session.faults.append(f"command before the reply to EHLO: {line!r}")
        verb, _, rest = line.decode("utf-8", "replace").partition(" ")
        action = self._actions.get(verb.upper())
        if action is None:
            self._reply("500 5.5.2 command not known")
        else:
            action(self, rest)

    def _ehlo(self, name: str) -> None:
        self._forget_envelope()
        if self._says.ehlo:
            self._reply(self._says.ehlo)
            return
        self.session.helo = name
        lines = [self._receiver.host, *self._says.extensions]
        if not self._inside_tls and self._says.starttls is not StartTLS.ABSENT:
            lines.append("STARTTLS")
        reply = "\r\n".join([f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"])
        if self._inside_tls and self._says.starttls is StartTLS.INJECTS:
            self._owes_ehlo = True
            self._call(INJECTION_WAIT, lambda: self._answer_late(reply))
        else:
            self._reply(reply)

    def _answer_late(self, reply: str) -> None:
        self._owes_ehlo = False
        self._reply(reply)

    def _helo(self, name: str) -> None:
        self._forget_envelope()
        self.session.helo = name
        self._reply(f"250 {self._receiver.host}")

    def _starttls(self, rest: str) -> None:
        how = self._says.starttls
        if self._inside_tls or how is StartTLS.ABSENT or how is StartTLS.REFUSED_502:
            self._reply("502 5.5.1 command not implemented")
        elif how is StartTLS.REFUSED_454:
            self._reply("454 4.7.0 TLS not available due to temporary reason")
        else:
            self._later(self._handshake)

    def _handshake(self) -> None:
        if self._lines or self._buffer:
            behind = b"\r\n".join([*self._lines, self._buffer])
            self.session.faults.append(f"plaintext behind STARTTLS: {behind[:80]!r}")
            self._lines.clear()
            self._buffer = b""
        how = self._says.starttls
        self._awaits_handshake = True
        self._write(b"220 2.0.0 go ahead\r\n" + (INJECTED if how is StartTLS.INJECTS else b""))
        self._forget_envelope()
        if how in (StartTLS.OFFERED, StartTLS.INJECTS):
            self._start_tls()

    def _start_tls(self) -> None:
        self._inside_tls = True
        self.session.helo = ""
        self.transport.startTLS(self._receiver.contexts())  # type: ignore[union-attr]

    def _mail(self, rest: str) -> None:
        if 0 < self._says.messages <= self._taken:
            self._closing = True
            self.abort()
            return
        path, parameters = _path(rest, "FROM:")
        if path is None or self._reverse_path is not None:
            self._reply("503 5.5.1 not now" if path is not None else "501 5.5.4 MAIL FROM:<address> wanted")
            return
        if not self.session.helo:
            self.session.faults.append("MAIL before EHLO")
        reply = self._says.mail or "250 2.1.0 ok"
        if reply.startswith("2"):
            self._reverse_path, self._parameters = path, parameters
        self._reply(reply)

    def _rcpt(self, rest: str) -> None:
        path, _ = _path(rest, "TO:")
        if path is None or self._reverse_path is None:
            self._reply("503 5.5.1 MAIL first" if path is not None else "501 5.5.4 RCPT TO:<address> wanted")
            return
        reply = self._word_on(path)
        if reply.startswith("2"):
            self._recipients.append(path)
        self._reply(reply)

    def _word_on(self, recipient: str) -> str:
        local = recipient.rpartition("@")[0]
        told = self._says.recipients.get(local) or self._says.recipients.get("*")
        if told:
            return told
        triple = (self.session.client, self._reverse_path or "", recipient)
        times = self._receiver.greylisted.get(triple, 0)
        if times < self._says.greylist:
            self._receiver.greylisted[triple] = times + 1
            return "450 4.2.0 greylisted, please come again"
        return "250 2.1.5 ok"

    def _data(self, rest: str) -> None:
        if not self._recipients:
            self._reply("554 5.5.1 no valid recipients")
        elif self._says.data:
            self._reply(self._says.data)
        else:
            self._content, self._content_size = [], 0
            self._reply("354 go ahead")

    def _rset(self, rest: str) -> None:
        self._forget_envelope()
        self._reply("250 2.0.0 ok")

    def _noop(self, rest: str) -> None:
        self._reply("250 2.0.0 ok")

    def _vrfy(self, rest: str) -> None:
        self._reply("252 2.1.5 can't say")

    def _quit(self, rest: str) -> None:
        self._receiver.leaving(self)
        self._reply(f"221 2.0.0 {self._receiver.host} bye")
        self._close()

    _actions: Mapping[str, Callable[[SMTPSession, str], None]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "STARTTLS": _starttls,
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "RSET": _rset,
        "NOOP": _noop,
        "VRFY": _vrfy,
        "QUIT": _quit,
    }

    # --- content ---

    def _content_line(self, line: bytes) -> None:
        assert self._content is not None
        if line == b".":
            self._complete(b"".join(self._content))
            return
        # RFC 5321 §4.5.2: the first dot of a line that has more behind it was added by the client.
        self._content.append(line.removeprefix(b".") + b"\r\n")
        self._content_size += len(line) + 2
        limit = self._says.closes_in_data
        if limit is not None and self._content_size >= limit:
            self._reply("421 4.3.2 closing, try later")
            self._close()

    def _complete(self, content: bytes) -> None:
        self._content = None
        if self._says.closes_after_data:
            self._closing = True
            self.abort()
            return
        reply = self._says.final or "250 2.0.0 taken"
        if reply.startswith("2"):
            self._taken += 1
            self._receiver.arrivals.take(
                ReceivedMessage(
                    host=self._receiver.host,
                    reverse_path=self._reverse_path or "",
                    recipients=tuple(self._recipients),
                    content=content,
                    tls=self.session.tls if self._inside_tls else "",
                    cipher=self.session.cipher,
                    sni=self.session.sni,
                    client=self.session.client,
                    helo=self.session.helo,
                    mail_parameters=self._parameters,
                    at=time.time(),
                )
            )
        self._forget_envelope()
        self._reply(reply)


def _path(text: str, keyword: str) -> tuple[str | None, tuple[str, ...]]:
    """The address between the angle brackets and the parameters behind it; (None, ()) when it isn't one."""
    if not text.upper().startswith(keyword):
        return None, ()
    path, bracket, parameters = text[len(keyword) :].strip().removeprefix("<").rpartition(">")
    if not bracket:
        return None, ()
    return path, tuple(parameters.split())
