"""Where a server's session stands, and what it says: replies, and the questions that its adapter answers."""

from __future__ import annotations

from seg.smtp import server_auth as auth
from seg.smtp import server_replies as replies
from seg.smtp.commands import VERBS, BdatCommand, Verb, split
from seg.smtp.lines import LineBuffer
from seg.smtp.reply import Reply
from seg.smtp.server_content import IncomingChunks, IncomingContent
from seg.smtp.server_counts import SessionCounts
from seg.smtp.server_events import (
    CommandRefused,
    ContentEnded,
    Question,
    RcptCommand,
    ServerEvent,
    SessionEnded,
    TransactionDropped,
)
from seg.smtp.server_options import ServerOptions
from seg.smtp.server_table import State


class ServerSession:
    """What is known of the client and its transaction. All replies are made here; the adapter only decides what it is asked."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.state = State.START
        self.helo = ""  # as the client named itself; "" before EHLO or HELO
        self.esmtp = False  # greeted with EHLO
        self.tls = False
        self.xclient_allowed = False  # XCLIENT is taken from this client
        self.may_relay = False  # by its address, its name or its certificate
        self.mechanisms: tuple[str, ...] = ()  # for AUTH; the adapter sets them when TLS is on
        self.identity = ""  # whom the client authenticated as
        self.awaiting = False  # the adapter's answer is due
        self.commands = 0  # lines read, those of an AUTH exchange included
        self.content_octets = 0  # that came of the present content, those that are passed over included
        self._open = False  # nothing is read before
        self._counts = SessionCounts()
        self._lines = LineBuffer()
        self._out: list[bytes] = []
        self._question: type[Question] = Question  # that is, or was last, to be answered
        self._yes = replies.OK  # the reply for a bare `accept()`
        self._accepted_state = State.READY  # where `accept` leads
        self._behind_auth = False  # the last command that was known is AUTH, or may have been one
        self._utf8 = False  # this transaction's MAIL had SMTPUTF8
        self._domain = ""  # of its addresses without one, where what old programs write is taken from the client
        self._content: IncomingContent | None = None
        self._chunks: IncomingChunks | None = None  # the content of a transaction that comes by BDAT
        self._chunk: BdatCommand | None = None  # being read
        self._ending: SessionEnded | None = None  # follows an event already given out

    @property
    def in_transaction(self) -> bool:
        """Whether there is a transaction that can still become a message, its answer included."""
        return self.awaiting or self.state in (State.MAIL, State.RCPT, State.DATA, State.BDAT)

    @property
    def buffered(self) -> int:
        """Octets received and not looked at yet."""
        return self._lines.left

    def greet(self) -> None:
        """Give the 220 greeting."""
        self._open = True
        self._reply(Reply.of(220, "", f"{self.options.hostname} ESMTP {self.options.banner}".rstrip()))

    def tls_from_the_start(self) -> None:
        """The connection was TLS before the greeting (RFC 8314 §3.3)."""
        self.tls = True

    def data_to_send(self) -> bytes:
        """All replies made since the last call."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # --- answers

    def accept(self, reply: Reply | None = None) -> None:
        """Say yes to what was asked."""
        if not self.awaiting:
            raise ValueError("nothing was asked")
        self.awaiting = False
        self.state = self._accepted_state
        self._reply(reply or self._yes)
        if self._question is RcptCommand:
            counts = self._counts
            counts.idle = counts.dropped
            counts.recipients += 1
        elif self._question is ContentEnded:
            self._counts.message()

    def refuse(self, reply: Reply) -> None:
        """Say no to what was asked: a refused recipient leaves the transaction as it is."""
        self._answered()
        if self.state is State.READY:
            self._counts.failed()
        self._reply(reply)

    def challenge(self, data: bytes) -> None:
        """Answer AUTH, or a response, with a challenge."""
        self._answered()
        self.state = State.AUTH
        self._counts.idle += 1
        self._out.append(auth.challenge(data))

    def reset_for_xclient(self, helo: str = "", identity: str = "") -> None:
        """Answer XCLIENT: the session begins anew, for another client. `greet` follows, or the end."""
        self._answered()
        self._open = False
        self.state, self.helo, self.esmtp, self.identity = State.START, helo, False, identity

    def authenticated(self, identity: str) -> None:
        """The client is who it says it is."""
        self._accepted_state = State.READY
        self.identity = identity
        self.accept(auth.AUTHENTICATED)

    def tls_started(self) -> None:
        """TLS is on: all that was learnt in clear text is forgotten (RFC 3207 §4.2)."""
        if self.state is not State.TLS:
            raise ValueError("STARTTLS wasn't given")
        self.tls = True
        self.helo = ""
        self.identity = ""
        self.esmtp = False
        self.state = State.START
        self._lines.clear()

    def end(self, reply: Reply) -> None:
        """Give a last reply and read nothing more; the adapter sends what is due, and closes."""
        self._reply(reply)
        self.state = State.ENDED
        self.awaiting = False
        self._content = self._chunks = self._chunk = None
        self._lines.close()

    # --- what both commands and content need

    def _ask(self, question: Question, yes: Reply, state: State) -> Question:
        """:param yes: the reply for a bare `accept()`, which leads to `state`."""
        self.awaiting = True
        self._question, self._yes, self._accepted_state = type(question), yes, state
        return question

    def _answered(self) -> None:
        if not self.awaiting:
            raise ValueError("nothing was asked")
        self.awaiting = False

    def _reply(self, reply: Reply) -> None:
        if reply.code >= 400:
            self._counts.refusals += 1
        else:
            self._counts.idle += 1
        self._out.append(reply.line)

    def _fault(self, line: str, reply: Reply) -> ServerEvent:
        self._reply(reply)
        return self._count(CommandRefused(self._shown(line), reply))

    def _shown(self, line: str) -> str:
        """A line for the log. Behind an AUTH that was refused come the responses of a client that didn't wait: passwords, not
        commands."""
        if auth.looks_like_auth(line):
            self._behind_auth = True
        elif self._behind_auth and line and split(line)[0] not in VERBS:
            return "***"
        return auth.without_secret(line) if line else ""

    def _count(self, event: ServerEvent) -> ServerEvent:
        """One more fault: too many of them end the session."""
        self._counts.faults += 1
        if self._counts.faults >= self.options.max_faults:
            self._ending = self._end_with(replies.TOO_MANY_FAULTS)
        return event

    def _end_with(self, reply: Reply) -> SessionEnded:
        self.end(reply)
        return SessionEnded(reply.message)

    def _drop(self, verb: Verb) -> ServerEvent | None:
        """End the transaction, if there is one, without a message."""
        if self.state not in (State.MAIL, State.RCPT, State.BDAT):
            return None
        self._chunks = None
        self._counts.drop()
        self.state = State.READY
        return TransactionDropped(verb.value)
