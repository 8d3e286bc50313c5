"""What a client's connection does with each reply: where it stands, and what comes next. `seg.smtp.client` matches replies to commands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from seg.common.echoes import WITHHELD, EchoedSecrets
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
from seg.smtp.reply import Phase, Reply
from seg.smtp.reply_parser import ReplyParser

_QUIT = b"QUIT\r\n"


class ClientSession:
    """The state of one connection, and one method for the replies of each phase."""

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
        self.greeted = False  # the server's greeting has come, and welcomed us
        self._wants_hello = False
        self._dirty = False  # the server may hold an unfinished transaction: RSET before the next
        self._content_under_way = False
        self._used = False  # a transaction has begun here before
        self._may_chunk = False  # the server offers CHUNKING, and we want it
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
    def chunking(self) -> bool:
        """Whether content goes out by BDAT."""
        return self._may_chunk and self.bdat.possible

    # --- replies, by phase ------------------------------------------------------------------------

    def _greeting(self, reply: Reply) -> None:
        if reply.negative:
            self._fail(temporary(reply, Phase.GREETING), parting=_QUIT)  # RFC 5321 §3.1
            return
        self.greeted = True
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
        self._may_chunk = self._wants_chunking and capabilities.chunking
        self._dirty = False  # EHLO resets the server like RSET (RFC 5321 §4.1.4)
        self._events.append(Greeted(capabilities))

    def _starttls(self, reply: Reply) -> None:
        if reply.code != 220:
            self.tls_failed = True
            self._events.append(TLSRefused(temporary(reply, Phase.STARTTLS)))
        elif self._parser.rest:
            self._fail(behind_starttls(self._parser.rest))
        else:
            self._may_chunk = False
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

    def _mail(self, reply: Reply) -> None:
        transaction = self._transaction
        assert transaction is not None  # which the command belongs to
        goes_on = transaction.mail_answered(reply)
        self._dirty = goes_on
        if self._awaited:
            return
        if goes_on:
            self._send(Phase.RCPT, transaction.rcpt(transaction.next_recipient()))
        else:
            self._finish(transaction)

    def _rcpt(self, reply: Reply) -> None:
        transaction = self._transaction
        assert transaction is not None  # which the command belongs to
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
        transaction = self._transaction
        assert transaction is not None  # which the command belongs to
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
        transaction = self._transaction
        assert transaction is not None  # which the command belongs to
        if self.bdat.under_way:
            self._octet_answered(transaction, reply)
        elif reply.negative and self.chunking and command_unknown(reply):
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

    # --- what all of them need

    def _hello(self) -> bytes:
        return (b"LHLO %s\r\n" if self._lmtp else b"EHLO %s\r\n") % self._hostname

    def _send(self, phase: Phase, command: bytes) -> None:
        self._awaited.append(phase)
        self._outgoing.append(command)

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

    def _finish(self, transaction: MailTransaction) -> None:
        self._transaction = None
        self._content_under_way = False
        self._used = True
        self._events.append(TransactionDone(transaction.results))

    def _out_of_turn(self, lines: tuple[str, ...]) -> Temporary:
        return out_of_turn(lines, self._may_secure and self.capabilities is not None and self.capabilities.starttls)

    def _shown(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        return (WITHHELD,) if self.echoes is not None and self.echoes.withheld(lines) else lines
