"""The client side of SMTP as a state machine without I/O: octets and wishes in, octets and events out.

Begin an operation (`hello`, `starttls`, `begin`, `reset`, `quit`), write `data_to_send`, hand what arrives to
`receive`, and write `data_to_send` again; one event ends the operation, then the next may begin. `awaiting`
tells what the server owes, for the adapter's time-outs.

Each command that was sent has its phase in a queue; replies are matched to it in order, so that commands in
one batch (RFC 2920) and commands one at a time are one machine. A reply that nothing was asked for, or of a
class that doesn't fit, ends the connection: from there on nobody could say which reply belongs to which
recipient.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Temporary
from seg.smtp.client_auth import ClientMechanism
from seg.smtp.client_events import ClientEvent, TransactionDone
from seg.smtp.client_faults import temporary
from seg.smtp.client_session import ClientSession
from seg.smtp.client_transaction import MailTransaction
from seg.smtp.dot_stuffing import BdatEncoder, ContentEncoder, DotEncoder
from seg.smtp.reply import KEPT, Phase, Reply, ReplyError
from seg.smtp.sasl_wire import encoded_initial
from seg.smtp.verdicts import Circumstance

_SERVICE_CLOSING = 421  # RFC 5321 §3.8: in answer to any command
_TLS_FAILED = frozenset({Circumstance.TLS_FAILED})
_IN_FULL = frozenset({Phase.EHLO, Phase.AUTH})  # what these say is for us; of all others only people are told


class ClientConnection(ClientSession):
    """One connection to a server, from its greeting to its end.

    :param hostname: our own name for EHLO.
    :param lmtp: the server speaks LMTP (RFC 2033): LHLO, and a reply for each recipient behind the content.
    :param chunking: send content by BDAT (RFC 3030) to a server that offers it: as one chunk whose octets are counted, so
        that no line of it can be taken for the end.
    """

    @property
    def awaiting(self) -> Phase | None:
        """What the server owes a reply to next; None when it owes nothing."""
        return self._awaited[0] if self._awaited else None

    @property
    def ready(self) -> bool:
        """Whether a transaction may begin: greeted, idle, and in step."""
        return not (self._awaited or self._computing or self.closed or self.capabilities is None)

    def data_to_send(self) -> bytes:
        """Octets to be written now; each is given once."""
        if len(self._outgoing) == 1:
            return self._outgoing.pop()
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def encoder(self, size: int) -> ContentEncoder:
        """What makes content of `size` octets ready to be sent on this connection."""
        return BdatEncoder(size) if self.chunking else DotEncoder()

    # --- operations -------------------------------------------------------------------------------

    def hello(self) -> None:
        """Greet the server, once its own greeting is there. Ends with `Greeted`."""
        if self.greeted:
            self._require_idle()
            self._send(Phase.EHLO, self._hello())
        else:
            self._wants_hello = True

    def auth(self, mechanism: ClientMechanism) -> None:
        """Authenticate (RFC 4954 §4). Ends with `Authenticated` or `AuthRefused`."""
        self._require_idle()
        self._mechanism, self._challenges, self._given_up = mechanism, 0, None
        self.echoes = mechanism.echoes
        initial = encoded_initial(mechanism.first())
        self.echoes.add_sent(initial)
        self._send(Phase.AUTH, b"AUTH %s%s\r\n" % (mechanism.name.encode("ascii"), initial))

    def starttls(self) -> None:
        """Ask for TLS (RFC 3207). Ends with `TLSAgreed` or `TLSRefused`."""
        self._require_idle()
        self._send(Phase.STARTTLS, b"STARTTLS\r\n")

    def begin(
        self, envelope: Envelope, recipients: Sequence[Recipient], size: int, unconvertible: str = ""
    ) -> TransactionDone | None:
        """Begin a transaction; what is returned at once is its end: nothing was or will be sent.

        Else it ends with `TransactionDone`, after `ContentWanted` if a recipient is accepted.

        :param size: octets of the content before dot-stuffing.
        :param unconvertible: why content beyond ASCII isn't converted for this server; "" = it needn't be, or nobody has tried.
        """
        self._require_idle()
        if self.capabilities is None:
            raise RuntimeError("no transaction before EHLO")
        self._may_secure = False
        circumstances = _TLS_FAILED if self.tls_failed else frozenset()
        transaction = MailTransaction(envelope, recipients, size, self.capabilities, circumstances, unconvertible)
        if not transaction.recipients:
            return TransactionDone(transaction.results)
        self._transaction, self.anew, self.bdat.begun = transaction, None, 0
        if self._dirty:
            self._send(Phase.RSET, b"RSET\r\n")
        if self.capabilities.pipelining:
            # MAIL, every RCPT and DATA at once (RFC 2920 §3.1: DATA may be the last of a group). BDAT waits until it is known that
            # somebody is to get the content.
            ahead = () if self.chunking else (Phase.DATA,)
            self._awaited += (Phase.MAIL, *[Phase.RCPT] * len(transaction.recipients), *ahead)
            self._outgoing += (transaction.mail(), *map(transaction.rcpt, transaction.recipients))
            self._outgoing += (b"DATA\r\n",) if ahead else ()
        elif not self._dirty:
            self._send(Phase.MAIL, transaction.mail())
        return None

    def content_sent(self) -> None:
        """All of the content was written: now the reply is due."""
        self._content_under_way = False

    def reset(self) -> None:
        """Send RSET. Ends with `ResetDone`."""
        self._require_idle()
        self._send(Phase.RSET, b"RSET\r\n")

    def quit(self) -> None:
        """Send QUIT. Ends with `Ended`, whatever the answer."""
        self._require_idle()
        self._send(Phase.QUIT, b"QUIT\r\n")
        self.closed = True

    # --- input ------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[ClientEvent]:
        """Take octets from the server; the events that they make, in order."""
        if self.ended is not None:
            return []
        parser = self._parser
        parser.feed(data)
        try:
            while self.ended is None and (reply := parser.next_reply()) is not None:
                self._take(reply)
        except ReplyError as error:
            lines = self._shown(error.remote)
            if lines is not error.remote:
                error = ReplyError(error.enhanced, error.text, remote=lines)
            self._fail(error if self._awaited else self._out_of_turn(lines))
        if not self._awaited and self.ended is None and parser.pending:
            self._fail(self._out_of_turn(()))
        events, self._events = self._events, []
        return events

    def fail(self, error: Temporary) -> list[ClientEvent]:
        """The connection was lost, or the server's time is up; the events that this makes."""
        if self.ended is None:
            self._fail(error)
        events, self._events = self._events, []
        return events

    def _take(self, reply: Reply) -> None:
        """Match a reply to the command that it answers, and act on it."""
        self.replies += 1
        if not self._awaited:
            reply = self._told(reply).kept()
            closing = reply.code == _SERVICE_CLOSING
            self._fail(temporary(reply, Phase.GREETING) if closing else self._out_of_turn(reply.lines))
            return
        phase, code = self._awaited.popleft(), reply.code
        challenge = phase is Phase.AUTH and 300 <= code < 400
        if self.echoes is not None and not challenge:
            reply = self._told(reply)
        if (code >= 400 or phase not in _IN_FULL) and (len(reply.lines) > 1 or len(reply.lines[0]) > KEPT):
            reply = reply.kept()
        hoped_for = 300 <= code < 400 if phase is Phase.DATA else 200 <= code < 300
        fitting = hoped_for or 400 <= code < 600 or phase is Phase.STARTTLS or challenge
        if code == _SERVICE_CLOSING or not fitting:
            self._fail(temporary(reply, phase))
        else:
            last = not self._awaited
            self._takes[phase](reply)
            if last and self._awaited and self._parser.pending and not self._content_under_way:
                # The server spoke before it could know the command that was just made.
                self._fail(self._out_of_turn(()))

    def _told(self, reply: Reply) -> Reply:
        """A reply as others may hear of it."""
        lines = self._shown(reply.lines)
        return reply if lines is reply.lines else attrs.evolve(reply, lines=lines)

    def _require_idle(self) -> None:
        if self._awaited or self._computing or self.closed:
            raise RuntimeError("the connection is closed, or an operation is under way")
