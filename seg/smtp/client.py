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

import base64
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs

from seg.common.echoes import WITHHELD, EchoedSecrets
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Temporary
from seg.smtp.bdat_trial import BdatTrial
from seg.smtp.client_auth import MOST_CHALLENGES, ChallengeError, ClientMechanism, response
from seg.smtp.client_capabilities import Capabilities, parse_capabilities
from seg.smtp.client_events import (
    Anew,
    Authenticated,
    AuthRefused,
    ClientEvent,
    ContentWanted,
    Ended,
    Greeted,
    ResetDone,
    ResponseWanted,
    TLSAgreed,
    TLSRefused,
    TransactionDone,
)
from seg.smtp.client_faults import behind_starttls, command_unknown, out_of_turn, temporary
from seg.smtp.client_transaction import MailTransaction
from seg.smtp.dot_stuffing import BdatEncoder, ContentEncoder, DotEncoder
from seg.smtp.replies import Phase, Reply, ReplyError, ReplyParser
from seg.smtp.verdicts import Circumstance

_QUIT = b"QUIT\r\n"
_SERVICE_CLOSING = 421  # RFC 5321 §3.8: in answer to any command
_TLS_FAILED = frozenset({Circumstance.TLS_FAILED})
_IN_FULL = frozenset({Phase.EHLO, Phase.AUTH})  # what these say is for us; of all others only people are told


class ClientConnection:
    """One connection to a server, from its greeting to its end.

    :param hostname: our own name for EHLO.
    :param lmtp: the server speaks LMTP (RFC 2033): LHLO, and a reply for each recipient behind the content.
    :param chunking: send content by BDAT (RFC 3030) to a server that offers it: as one chunk whose octets are counted, so
        that no line of it can be taken for the end.
    """

    def __init__(self, hostname: str, lmtp: bool = False, chunking: bool = True) -> None:
        self.capabilities: Capabilities | None = None  # of the last EHLO; None before it, and again after STARTTLS
        self.ended: Temporary | None = None  # why the connection can't be used any more
        self.closed = False  # no operation may begin: failed, or QUIT was sent
        self.replies = 0  # taken so far
        self.tls_failed = False  # TLS was to be, and failed, so that this session is one in clear text
        self.anew: Anew | None = None  # why the transaction that ended last may have a new connection at once
        self._hostname = hostname.encode("ascii")
        self._lmtp = lmtp
        self._wants_chunking = chunking
        self.bdat = BdatTrial(True if lmtp else None)  # a server of LMTP is our neighbour, and is believed
        self._mechanism: ClientMechanism | None = None  # of the AUTH under way
        self.echoes: EchoedSecrets | None = (
            None  # of the last AUTH: what the server says from then on isn't to repeat its password
        )
        self._challenges = 0  # of the AUTH under way
        self._given_up: ChallengeError | None = None  # why the AUTH under way was given up
        self._computing = False  # an answer is computed elsewhere; the server owes nothing meanwhile
        self._may_secure = True  # STARTTLS may come: it wasn't agreed on yet, nor a transaction begun
        self._parser = ReplyParser()
        self._awaited: deque[Phase] = deque((Phase.GREETING,))
        self._outgoing: list[bytes] = []
        self._events: list[ClientEvent] = []
        self._greeted = False
        self._wants_hello = False
        self._dirty = False  # the server may hold an unfinished transaction: RSET before the next
        self._content_under_way = False
        self._used = False  # a transaction has begun here before
        self._transaction: MailTransaction | None = None
        self._takes: Mapping[Phase, Callable[[Reply], None]] = {
            Phase.GREETING: self._greeting,
            Phase.EHLO: self._ehlo,
            Phase.HELO: self._helo,
            Phase.STARTTLS: self._starttls,
            Phase.AUTH: self._auth,
            Phase.MAIL: self._mail,
            Phase.RCPT: self._rcpt,
            Phase.DATA: self._data,
            Phase.CONTENT: self._content,
            Phase.RSET: self._rset,
            Phase.QUIT: self._quit,
        }

    @property
    def awaiting(self) -> Phase | None:
        """What the server owes a reply to next; None when it owes nothing."""
        return self._awaited[0] if self._awaited else None

    @property
    def ready(self) -> bool:
        """Whether a transaction may begin: greeted, idle, and in step."""
        return self.capabilities is not None and self._idle

    @property
    def greeted(self) -> bool:
        """Whether the server's greeting has come, and welcomed us."""
        return self._greeted

    @property
    def _idle(self) -> bool:
        return not self._awaited and not self._computing and not self.closed

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

    @property
    def chunking(self) -> bool:
        """Whether content goes out by BDAT."""
        offered = self._wants_chunking and self.capabilities is not None and self.capabilities.chunking
        return offered and self.bdat.possible

    # --- operations -------------------------------------------------------------------------------

    def hello(self) -> None:
        """Greet the server, once its own greeting is there. Ends with `Greeted`."""
        if self._greeted:
            self._require_idle()
            self._send(Phase.EHLO, self._hello())
        else:
            self._wants_hello = True

    def _hello(self) -> bytes:
        return (b"LHLO %s\r\n" if self._lmtp else b"EHLO %s\r\n") % self._hostname

    def auth(self, mechanism: ClientMechanism) -> None:
        """Authenticate (RFC 4954 §4). Ends with `Authenticated` or `AuthRefused`."""
        self._require_idle()
        self._mechanism, self._challenges, self._given_up = mechanism, 0, None
        self.echoes = mechanism.echoes
        first = mechanism.first()
        initial = b"" if first is None else b" " + (base64.b64encode(first) or b"=")
        self.echoes.add_sent(initial)
        self._send(Phase.AUTH, b"AUTH %s%s\r\n" % (mechanism.name.encode("ascii"), initial))

    def respond(self, response: bytes | ChallengeError) -> None:
        """Send the response that `ResponseWanted` asked for; an error gives AUTH up with ``*`` (RFC 4954 §4)."""
        self._computing = False
        if self.ended is not None:
            return
        if isinstance(response, ChallengeError):
            self._given_up, response = response, b"*"
        elif self.echoes is not None:
            self.echoes.add_sent(response)
        self._send(Phase.AUTH, response + b"\r\n")

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
            self._send_batch(transaction)
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
        self._send(Phase.QUIT, _QUIT)
        self.closed = True

    # --- input ------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[ClientEvent]:
        """Take octets from the server; the events that they make, in order."""
        if self.ended is not None:
            return []
        self._parser.feed(data)
        try:
            while self.ended is None and (reply := self._parser.next_reply()) is not None:
                self._take(reply)
        except ReplyError as error:
            lines = self._shown(error.remote)
            if lines is not error.remote:
                error = ReplyError(error.enhanced, error.text, remote=lines)
            self._fail(error if self._awaited else self._out_of_turn(lines))
        if not self._awaited and self.ended is None and self._parser.pending:
            self._fail(self._out_of_turn(()))
        return self._take_events()

    def fail(self, error: Temporary) -> list[ClientEvent]:
        """The connection was lost, or the server's time is up; the events that this makes."""
        if self.ended is None:
            self._fail(error)
        return self._take_events()

    def _take_events(self) -> list[ClientEvent]:
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
        phase = self._awaited.popleft()
        if not (phase is Phase.AUTH and reply.intermediate):
            reply = self._told(reply)
        if reply.negative or phase not in _IN_FULL:
            reply = reply.kept()
        hoped_for = reply.intermediate if phase is Phase.DATA else reply.positive
        fitting = hoped_for or reply.negative or phase is Phase.STARTTLS or (phase is Phase.AUTH and reply.intermediate)
        if reply.code == _SERVICE_CLOSING or not fitting:
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

    def _shown(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        return (WITHHELD,) if self.echoes is not None and self.echoes.withheld(lines) else lines

    def _fail(self, error: Temporary, parting: bytes = b"") -> None:
        """The end: whoever waits for a result gets `error`, and nothing but `parting` is sent any more."""
        self.ended = error
        self.closed = True
        self._awaited.clear()
        self._outgoing = [parting] if parting else []
        # Content that the server doesn't wait for any more isn't to be sent.
        self._events = [event for event in self._events if type(event) is not ContentWanted]
        if self._transaction is not None:
            if self._used and not self._transaction.mail_was_answered and self.anew is None:
                self.anew = Anew.KEPT_ENDED
            self._transaction.broken_off(error)
            self._finish(self._transaction)
        self._events.append(Ended(error))

    # --- replies, by phase ------------------------------------------------------------------------

    def _greeting(self, reply: Reply) -> None:
        if reply.negative:
            self._fail(temporary(reply, Phase.GREETING), parting=_QUIT)  # RFC 5321 §3.1
            return
        self._greeted = True
        if self._wants_hello:
            self._send(Phase.EHLO, self._hello())

    def _ehlo(self, reply: Reply) -> None:
        if reply.positive:
            self._welcome(parse_capabilities(reply))
        elif reply.code >= 500 and not self._lmtp:
            self._send(Phase.HELO, b"HELO %s\r\n" % self._hostname)  # RFC 5321 §3.2
        else:
            self._fail(temporary(reply, Phase.EHLO), parting=_QUIT)

    def _helo(self, reply: Reply) -> None:
        if reply.positive:
            self._welcome(Capabilities())
        else:
            self._fail(temporary(reply, Phase.HELO), parting=_QUIT)

    def _welcome(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._dirty = False  # EHLO resets the server like RSET (RFC 5321 §4.1.4)
        self._events.append(Greeted(capabilities))

    def _starttls(self, reply: Reply) -> None:
        if reply.code != 220:
            self.tls_failed = True
            self._events.append(TLSRefused(temporary(reply, Phase.STARTTLS)))
        elif self._parser.rest:
            self._fail(behind_starttls(self._parser.rest))
        else:
            self.capabilities = None  # RFC 3207 §4.2: forget what was learnt in clear
            self._may_secure = False
            self._events.append(TLSAgreed())

    def _auth(self, reply: Reply) -> None:
        mechanism = self._mechanism
        assert mechanism is not None  # AUTH was sent
        if reply.intermediate:
            self._challenged(mechanism, reply)
            return
        self._mechanism = None
        if self._given_up is not None:
            self._events.append(AuthRefused(Temporary("4.7.0", f"AUTH was given up: {self._given_up}")))
        elif reply.negative:
            self._events.append(AuthRefused(temporary(reply, Phase.AUTH)))
        elif mechanism.trusted:
            self._events.append(Authenticated())
        else:  # it didn't prove that it knows the password: somebody else may sit there
            self._fail(Temporary("4.7.0", "The server took AUTH without its own proof"), parting=_QUIT)

    def _challenged(self, mechanism: ClientMechanism, reply: Reply) -> None:
        """Answer a challenge, elsewhere if that takes time; there are so many, and none behind one that was given up."""
        self._challenges += 1
        if self._given_up is not None or self._challenges > MOST_CHALLENGES:
            self._fail(Temporary("4.7.0", "The server goes on with AUTH without end"), parting=_QUIT)
        elif mechanism.costly:
            self._computing = True
            self._events.append(ResponseWanted(partial(response, mechanism, reply.text)))
        else:
            self.respond(response(mechanism, reply.text))

    def _mail(self, reply: Reply) -> None:
        transaction = self._current()
        goes_on = transaction.mail_answered(reply)
        self._dirty = goes_on
        if self._awaited:
            return
        if goes_on:
            self._send(Phase.RCPT, transaction.rcpt(transaction.next_recipient()))
        else:
            self._finish(transaction)

    def _rcpt(self, reply: Reply) -> None:
        transaction = self._current()
        transaction.rcpt_answered(reply)
        if self._awaited:
            return
        if not transaction.all_answered():
            self._send(Phase.RCPT, transaction.rcpt(transaction.next_recipient()))
        elif not transaction.accepted:
            self._finish(transaction)
        elif self.chunking:
            self._begin_chunks(transaction)
        else:
            self._send(Phase.DATA, b"DATA\r\n")

    def _begin_chunks(self, transaction: MailTransaction) -> None:
        """All that is left of the content in one chunk, or first an octet of it (`BdatTrial`)."""
        if self.bdat.known:
            self._outgoing.append(b"BDAT %d LAST\r\n" % (transaction.size - self.bdat.begun))
            self._want_content(transaction)
        else:
            self.bdat.under_way = True
            self._send(Phase.CONTENT, b"BDAT 1\r\n" + self.bdat.first)

    def _octet_answered(self, transaction: MailTransaction, reply: Reply) -> None:
        self.bdat.under_way = False
        if reply.positive:
            self.bdat.octet_taken()
            self._begin_chunks(transaction)
        elif command_unknown(
            reply
        ):  # the octet stands at the beginning of its next line: this connection is of no more use
            self._bdat_unknown(reply)
        else:
            transaction.content_answered(Phase.CONTENT, reply)
            self._finish(transaction)  # dirty still, so RSET comes next

    def _bdat_unknown(self, reply: Reply) -> None:
        self.bdat.learn(False)
        self.anew = Anew.BDAT_UNKNOWN
        self._fail(temporary(reply, Phase.CONTENT))

    def _want_content(self, transaction: MailTransaction) -> None:
        """Everything is said but the content; what answers it is due behind it."""
        self._awaited += [Phase.CONTENT] * (transaction.accepted_count if self._lmtp else 1)  # RFC 2033 §4.2
        self._content_under_way = True
        self._events.append(ContentWanted())

    def _data(self, reply: Reply) -> None:
        transaction = self._current()
        if reply.negative:
            # Where every RCPT was refused this is only what follows from it.
            transaction.content_answered(Phase.DATA, reply)
            self._finish(transaction)
            return
        transaction.data_answered()
        if transaction.accepted:
            self._want_content(transaction)
        elif self._lmtp:
            self._outgoing.append(b".\r\n")  # nobody is to get it, and nobody is answered for
            self._finish(transaction)
        else:
            # RFC 2920 §3.1: nobody is to get it; an empty message ends the transaction.
            self._awaited.append(Phase.CONTENT)
            self._outgoing.append(b".\r\n")

    def _content(self, reply: Reply) -> None:
        transaction = self._current()
        if self.bdat.under_way:
            self._octet_answered(transaction, reply)
        elif self.chunking and reply.negative and command_unknown(reply):
            self._bdat_unknown(reply)  # what is left of the content, or all of it, is taken for commands
        elif not self._content_under_way and self._lmtp:
            transaction.next_content_answered(reply)
            if not self._awaited:
                self._dirty = False
                self._finish(transaction)
        elif not self._content_under_way:
            transaction.content_answered(Phase.CONTENT, reply)
            self._dirty = False
            self._finish(transaction)
        elif reply.negative:
            # Refused half-way. What is left of the content can't be taken back, so the connection goes.
            transaction.content_answered(Phase.CONTENT, reply)
            self._fail(Temporary("4.4.2", "The server refused the content before its end", remote=reply.lines))
        else:
            self._fail(self._out_of_turn(reply.lines))

    def _rset(self, reply: Reply) -> None:
        if reply.negative:
            self._fail(temporary(reply, Phase.RSET), parting=_QUIT)
            return
        self._dirty = False
        if self._transaction is None:
            self._events.append(ResetDone())
        elif not self._awaited:
            self._send(Phase.MAIL, self._transaction.mail())

    def _quit(self, reply: Reply) -> None:
        # Whatever the answer, it's over.
        self._fail(Temporary("4.4.2", "The connection was closed by QUIT", remote=reply.lines))

    def _out_of_turn(self, lines: tuple[str, ...]) -> Temporary:
        return out_of_turn(lines, self._may_secure and self.capabilities is not None and self.capabilities.starttls)

    # --- output -----------------------------------------------------------------------------------

    def _send(self, phase: Phase, command: bytes) -> None:
        self._awaited.append(phase)
        self._outgoing.append(command)

    def _send_batch(self, transaction: MailTransaction) -> None:
        """MAIL, every RCPT and DATA at once (RFC 2920 §3.1: DATA may be the last of a group). BDAT waits until it is known
        that somebody is to get the content."""
        self._send(Phase.MAIL, transaction.mail())
        for recipient in transaction.recipients:
            self._send(Phase.RCPT, transaction.rcpt(recipient))
        if not self.chunking:
            self._send(Phase.DATA, b"DATA\r\n")

    def _finish(self, transaction: MailTransaction) -> None:
        self._transaction = None
        self._content_under_way = False
        self._used = True
        self._events.append(TransactionDone(transaction.results))

    def _current(self) -> MailTransaction:
        if self._transaction is None:
            raise RuntimeError("a reply of a transaction without a transaction")
        return self._transaction

    def _require_idle(self) -> None:
        if not self._idle:
            raise RuntimeError("the connection is closed, or an operation is under way")
