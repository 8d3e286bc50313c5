"""The server's side of an ESMTP session, sans I/O.

How an adapter drives it::

    for event in connection.receive_data(octets):
        ...  # answer MailGiven, RecipientGiven and ContentEnded with `accept` or `refuse`, now or later
    transport.write(connection.data_to_send())

Nothing is read before `greet`. While an answer is due nothing more is read either: the iterator ends, what has come stays in
the buffer (`buffered`), and ``receive_data(b"")`` goes on after the answer. So pipelined commands (RFC 2920) are answered in
order, and their replies gather. How much is done in one go the adapter says by `most`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import attrs

from seg.config.schema import LenientAddresses, Verifying
from seg.smtp import server_auth as auth
from seg.smtp import server_replies as replies
from seg.smtp.commands import (
    NOT_IMPLEMENTED,
    OTHER_PROTOCOLS,
    VERBS,
    WITHOUT_ARGUMENT,
    BdatCommand,
    CommandError,
    Verb,
    parse_bdat,
    parse_greeting,
    parse_mail,
    parse_rcpt,
    split,
)
from seg.smtp.lines import LINE_LIMIT, LineBuffer, LineError
from seg.smtp.server_content import IncomingChunks, IncomingContent
from seg.smtp.server_counts import SessionCounts
from seg.smtp.server_events import (
    AuthBegun,
    AuthEnded,
    AuthResponse,
    CommandRefused,
    CommandUnknown,
    ContentEnded,
    ContentReceived,
    ContentRefused,
    DataStarted,
    MailCommand,
    MailTooLarge,
    Question,
    RcptCommand,
    ServerEvent,
    SessionEnded,
    TLSWanted,
    TransactionDropped,
    VrfyCommand,
    XclientCommand,
)
from seg.smtp.server_options import ServerOptions
from seg.smtp.server_replies import ServerReply
from seg.smtp.server_table import ALLOWED, CommandStep, State, denial
from seg.smtp.xclient import ATTRIBUTES, NOT_PERMITTED, parse_xclient

NEEDS_TLS = frozenset({Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.BDAT, Verb.VRFY})


class ServerConnection:
    """One session. All replies are made here; the adapter only decides what it is asked."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.state = State.START
        self.helo = ""  # as the client named itself; "" before EHLO or HELO
        self.esmtp = False  # greeted with EHLO
        self.tls = False
        self.may_represent = False  # XCLIENT is taken from this client
        self.may_relay = False  # by its address, its name or its certificate
        self.mechanisms: tuple[str, ...] = ()  # for AUTH; the adapter sets them when TLS is on
        self.identity = ""  # whom the client authenticated as
        self.interrupted = False  # `receive_data` ended because of `most`
        self.commands = 0  # lines read, those of an AUTH exchange included
        self.content_octets = 0  # that came of the present content, those that are passed over included
        self._open = False  # nothing is read before
        self._steps_left = 0
        self._counts = SessionCounts()
        self._lines = LineBuffer()
        self._out: list[bytes] = []
        self._asked: ServerReply | None = None  # an answer is due; the reply for a bare `accept()`
        self._accepted_state = State.READY  # where `accept` leads
        self._wiped: Callable[[], None] | None = None  # what `accept` makes forgotten
        self._behind_auth = False  # the last command that was known is AUTH, or may have been one
        self._utf8 = False  # this transaction's MAIL had SMTPUTF8
        self._content: IncomingContent | None = None
        self._chunks: IncomingChunks | None = None  # the content of a transaction that comes by BDAT
        self._chunk: BdatCommand | None = None  # being read
        self._chunk_left = 0  # octets of it that haven't come
        self._chunk_whole = False  # all of it has been taken
        self._chunk_denied: ServerReply | None = None  # its octets are passed over, then this is said
        self._ending: SessionEnded | None = None  # follows an event already given out

    @property
    def in_transaction(self) -> bool:
        """Whether there is a transaction that can still become a message, its answer included."""
        return self._asked is not None or self.state in (State.MAIL, State.RCPT, State.DATA, State.BDAT)

    @property
    def awaiting(self) -> bool:
        """Whether the adapter's answer is due."""
        return self._asked is not None

    @property
    def buffered(self) -> int:
        """Octets received and not looked at yet."""
        return len(self._lines)

    def greet(self) -> None:
        """Give the 220 greeting."""
        self._open = True
        self._reply(ServerReply(220, "", f"{self.options.hostname} ESMTP {self.options.banner}".rstrip()))

    def tls_from_the_start(self) -> None:
        """The connection was TLS before the greeting (RFC 8314 §3.3)."""
        self.tls = True

    def receive_data(self, data: bytes, most: int = sys.maxsize) -> Iterator[ServerEvent]:
        """Take octets from the client; what they mean comes out while iterating.

        :param most: lines, chunks and pieces of content that are looked at; see `interrupted`.
        """
        if data:
            self.feed(data)
        self.interrupted = False
        self._steps_left = most
        return iter(self._next_event, None)

    def feed(self, data: bytes) -> None:
        """Take octets, and look at them later."""
        if data and self.state is not State.ENDED:
            self._lines.feed(data)

    def data_to_send(self) -> bytes:
        """All replies made since the last call."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def accept(self, reply: ServerReply | None = None) -> None:
        """Say yes to what was asked."""
        if self._asked is None:
            raise ValueError("nothing was asked")
        self.state = self._accepted_state
        yes, wiped = reply or self._asked, self._wiped
        self._answer(yes)
        if wiped is not None:
            wiped()

    def refuse(self, reply: ServerReply) -> None:
        """Say no to what was asked: a refused recipient leaves the transaction as it is."""
        if self._asked is None:
            raise ValueError("nothing was asked")
        if self.state is State.READY:
            self._counts.failed()
        self._answer(reply)

    def challenge(self, data: bytes) -> None:
        """Answer AUTH, or a response, with a challenge."""
        if self._asked is None:
            raise ValueError("nothing was asked")
        self._asked = None
        self.state = State.AUTH
        self._counts.replied(334)
        self._out.append(auth.challenge(data))

    def start_over(self, helo: str = "", identity: str = "") -> None:
        """Answer XCLIENT: the session begins anew, for another client. `greet` follows, or the end."""
        if self._asked is None:
            raise ValueError("nothing was asked")
        self._asked = None
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

    def end(self, reply: ServerReply) -> None:
        """Give a last reply and read nothing more; the adapter sends what is due, and closes."""
        self._reply(reply)
        self.state = State.ENDED
        self._asked = self._wiped = None
        self._content = self._chunks = self._chunk = None
        self._lines.clear()

    def _next_event(self) -> ServerEvent | None:
        event: ServerEvent | None = None
        while event is None and self._asked is None:
            if self._ending is not None:
                event, self._ending = self._ending, None
            elif not self._open or self.state is State.ENDED or self.state is State.TLS:
                return None
            elif not self._steps_left:
                self.interrupted = True
                return None
            elif self._content is not None:
                self._steps_left -= 1
                return self._next_content(self._content)
            elif self._chunk is not None:
                if self._chunk_left and not self._lines:
                    return None
                self._steps_left -= 1
                event = self._next_of_chunk(self._chunk)
            elif self._hopeless:
                event = self._end_with(replies.TOO_MANY_ERRORS)
            else:
                line = self._lines.next(auth.RESPONSE_LIMIT if self.state is State.AUTH else LINE_LIMIT)
                if line is None:
                    return None
                self._steps_left -= 1
                self.commands += 1
                event = self._any_line(line)
        return event

    @property
    def _hopeless(self) -> bool:
        """Whether the client goes on without getting anywhere."""
        counts, options = self._counts, self.options
        return counts.refusals >= options.max_refusals or counts.idle >= options.max_idle_commands

    # --- commands

    def _any_line(self, line: bytes | LineError) -> ServerEvent | None:
        """A command, or a line of an AUTH exchange."""
        if isinstance(line, LineError) and (reply := replies.ENDING_LINES.get(line)):
            return self._end_with(reply)
        return self._auth_line(line) if self.state is State.AUTH else self._line(line)

    def _line(self, line: bytes | LineError) -> ServerEvent | None:
        if isinstance(line, LineError):
            self._behind_auth = True  # it may have been one
            return self._fault("", ServerReply(500, "5.5.2", line.value))
        if not line.isascii() and line[:5].upper() not in (b"MAIL ", b"RCPT "):
            return self._fault(line.decode("ascii", "backslashreplace"), replies.NOT_ASCII)
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return self._fault(line.decode("ascii", "backslashreplace"), replies.NOT_UTF8)
        word, argument = split(text)
        verb = VERBS.get(word)
        if verb is None:
            return self._unknown(word, text)
        self._behind_auth = verb is Verb.AUTH
        if verb is Verb.AUTH and not self.options.auth:
            return self._fault(text, auth.AUTH_NOT_OFFERED)
        step = ALLOWED.get((self.state, verb))
        if self.options.tls_required and not self.tls and verb in NEEDS_TLS and verb is not Verb.BDAT:
            return self._fault(text, replies.STARTTLS_FIRST)
        if verb is Verb.BDAT:
            return self._begin_chunk(argument, None if step else denial(self.state, verb))
        if step is None:
            return self._fault(text, denial(self.state, verb))
        if argument and verb in WITHOUT_ARGUMENT:
            return self._fault(text, replies.NO_ARGUMENT)
        try:
            return self._take(step, verb, argument)
        except CommandError as error:
            return self._fault(text, error.reply)

    def _take(self, step: CommandStep, verb: Verb, argument: str) -> ServerEvent | None:
        """Do what the table says for the command."""
        match step:
            case CommandStep.ADD_RECIPIENT:
                recipient = parse_rcpt(argument, self._utf8, self._default_domain)
                return self._ask(RcptCommand(recipient), replies.RECIPIENT_OK, State.RCPT, self._counts.recipient)
            case CommandStep.BEGIN:
                return self._begin(argument)
            case CommandStep.TAKE_DATA:
                self._reply(replies.START_DATA)
                self._content = IncomingContent(self.options.max_message_size, self.options.normalise)
                self.content_octets = 0
                self.state = State.DATA
                return DataStarted()
            case CommandStep.GREET:
                return self._greeted(verb, argument)
            case CommandStep.RESET:
                self._reply(replies.OK)
                return self._drop(verb)
            case CommandStep.START_TLS:
                return self._start_tls()
            case CommandStep.AUTHENTICATE:
                return self._begin_auth(argument)
            case CommandStep.REPRESENT:
                if not self.may_represent:
                    raise CommandError(NOT_PERMITTED)
                return self._ask(XclientCommand(parse_xclient(argument)), replies.OK, State.START)
            case CommandStep.QUIT:
                self.end(replies.GOODBYE)
                return SessionEnded("")
            case CommandStep.NOTHING:
                self._reply(replies.OK)
            case CommandStep.EXPLAIN:
                self._reply(replies.HELP)
            case CommandStep.VERIFY:
                return self._verify(argument)
        return None

    def _verify(self, argument: str) -> ServerEvent | None:
        """VRFY (RFC 5321 §3.5), by the operator's choice."""
        if not argument:
            raise CommandError(replies.ARGUMENT_REQUIRED)
        if self.options.vrfy is Verifying.REFUSE:
            raise CommandError(replies.VRFY_DISABLED)
        if self.options.vrfy is Verifying.NONCOMMITTAL:
            self._reply(replies.NOT_VERIFIED)
            return None
        bare = argument.strip().removeprefix("<").removesuffix(">")
        address = parse_rcpt(f"TO:<{bare}>", False).address
        return self._ask(VrfyCommand(address), ServerReply(250, "2.1.5", f"<{address}>"), self.state)

    @property
    def _default_domain(self) -> str:
        """That of addresses without one, where what old programs write is taken from the client; else ""."""
        lenient = self.options.lenient
        may = lenient is LenientAddresses.RELAY and (self.may_relay or bool(self.identity))
        return self.options.hostname if may or lenient is LenientAddresses.ALL else ""

    def _begin(self, argument: str) -> ServerEvent:
        if self.options.auth_required and not self.identity:
            raise CommandError(auth.AUTH_REQUIRED)
        arguments = parse_mail(argument, bool(self.mechanisms), self._default_domain)
        if arguments.requiretls and not self.tls:  # RFC 8689 §2: it wasn't offered
            raise CommandError(replies.TLS_NEEDED)
        self._utf8 = arguments.smtputf8
        if arguments.size > self.options.max_message_size:
            self._reply(replies.TOO_LARGE)  # RFC 1870 §6.1: no need to let it arrive
            return MailTooLarge(arguments)
        return self._ask(MailCommand(arguments), replies.SENDER_OK, State.MAIL)

    def _greeted(self, verb: Verb, argument: str) -> ServerEvent | None:
        self.helo = parse_greeting(argument)
        self.esmtp = verb is Verb.EHLO
        dropped = self._drop(verb)
        if self.state is not State.START:
            self._counts.replied(250)
        self.state = State.READY
        lines = [self.options.hostname]
        if self.esmtp:
            size = f"SIZE {self.options.max_message_size}"
            lines += ["PIPELINING", size, "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING", "DSN"]
            if self.options.max_recipients:
                lines.append(f"LIMITS RCPTMAX={self.options.max_recipients}")
            if self.tls:
                lines.append("REQUIRETLS")  # RFC 8689 §2: within TLS only
            if self.mechanisms and self.tls and not self.identity:
                lines.append(f"AUTH {' '.join(self.mechanisms)}")
            if self.may_represent:
                lines.append(f"XCLIENT {' '.join(ATTRIBUTES)}")
            if self.options.starttls and not self.tls:  # RFC 3207 §4.2: not again inside TLS
                lines.append("STARTTLS")
        last = lines.pop()
        self._out.append(
            "".join(f"250-{line}\r\n" for line in lines).encode("ascii") + f"250 {last}\r\n".encode("ascii")
        )
        return dropped

    def _start_tls(self) -> ServerEvent:
        if not self.options.starttls:
            raise CommandError(replies.TLS_NOT_OFFERED)
        if self.tls:
            raise CommandError(replies.TLS_ACTIVE)
        # What follows in clear text could have been put there by anybody on the way, and must never run
        # inside TLS.
        if self._lines:
            return self._end_with(replies.BEHIND_STARTTLS)
        self._reply(replies.START_TLS)
        self.state = State.TLS
        return TLSWanted()

    def _begin_auth(self, argument: str) -> ServerEvent:
        """AUTH, which is possible within TLS only."""
        if not self.tls:
            raise CommandError(auth.ENCRYPTION_REQUIRED)
        if self.identity:
            raise CommandError(auth.ALREADY)
        mechanism, initial = auth.parse_auth(argument, self.mechanisms)
        return self._ask(AuthBegun(mechanism, initial), auth.AUTHENTICATED, State.READY)

    def _auth_line(self, line: bytes | LineError) -> ServerEvent:
        """A response to a challenge."""
        self.state = State.READY  # whatever comes of it, unless there is another challenge
        try:
            data = auth.parse_response(line)
        except CommandError as error:
            self._reply(error.reply)
            return self._count(AuthEnded(error.reply))
        if data is None:
            self._reply(auth.CANCELLED)
            return AuthEnded(auth.CANCELLED)
        return self._ask(AuthResponse(data), auth.AUTHENTICATED, State.READY)

    def _drop(self, verb: Verb) -> ServerEvent | None:
        """End the transaction, if there is one, without a message."""
        if self.state not in (State.MAIL, State.RCPT, State.BDAT):
            return None
        self._chunks = None
        self._counts.dropped()
        self.state = State.READY
        return TransactionDropped(verb.value)

    def _unknown(self, word: str, text: str) -> ServerEvent:
        if word in OTHER_PROTOCOLS:
            return self._end_with(replies.NOT_SMTP)
        self._reply(replies.NOT_IMPLEMENTED if word in NOT_IMPLEMENTED else replies.UNKNOWN)
        return self._count(CommandUnknown(self._shown(text)))

    def _fault(self, line: str, reply: ServerReply) -> ServerEvent:
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

    def _end_with(self, reply: ServerReply) -> SessionEnded:
        self.end(reply)
        return SessionEnded(reply.text)

    # --- content

    def _next_content(self, content: IncomingContent) -> ServerEvent | None:
        if not content.ended:
            if not self._lines:
                return None
            taken = self._lines.take()
            piece = content.feed(taken)
            self.content_octets += len(taken)
            if content.ended:
                self._lines.feed(content.rest)
            elif content.size > self.options.most_read:
                return self._end_with(replies.ENDLESS_CONTENT)
            if piece:
                return ContentReceived(piece)
            if not content.ended:
                return None
        self._content = None
        self.state = State.READY
        if content.refusal is not None:
            return self._refuse_content(content.refusal)
        return self._ask(ContentEnded(content.size), replies.OK, State.READY, self._counts.message)

    def _refuse_content(self, reply: ServerReply) -> ContentRefused:
        """Where lines aren't what they should be, the client may see the end of the content elsewhere, or somebody wants it to be
        seen there: what follows isn't read as commands. (The octets of chunks are counted: there nobody can be mistaken.)"""
        self._counts.failed()
        if reply not in replies.BAD_LINES:
            self._reply(reply)
            return ContentRefused(reply)
        last = attrs.evolve(reply, text=f"{reply.text}; closing connection")
        self.end(last)
        self._ending = SessionEnded("")
        return ContentRefused(last)

    # --- chunks (RFC 3030)

    def _begin_chunk(self, argument: str, denied: ServerReply | None) -> ServerEvent | None:
        """The octets of a chunk follow whatever is said to the command: they are never taken for commands."""
        try:
            chunk = parse_bdat(argument)
        except CommandError as error:
            return self._end_with(error.reply)  # nobody can tell content from commands any more
        before = self._chunks.size if self._chunks is not None else 0
        if before + chunk.size > self.options.most_read:
            return self._end_with(replies.ENDLESS_CONTENT)
        self._chunk, self._chunk_left, self._chunk_denied = chunk, chunk.size, denied
        self._chunk_whole = False
        if denied is not None or self.state is State.BDAT:
            return None
        self._chunks = IncomingChunks(self.options.max_message_size, self.options.normalise)
        self.content_octets = 0
        self.state = State.BDAT
        return DataStarted()

    def _next_of_chunk(self, chunk: BdatCommand) -> ServerEvent | None:
        if self._chunk_whole:
            self._chunk = None
            return self._end_of_chunk(chunk)
        piece = self._lines.take(self._chunk_left) if self._chunk_left else b""
        self._chunk_left -= len(piece)
        self.content_octets += len(piece)
        self._chunk_whole = not self._chunk_left
        if self._chunk_denied is not None or self._chunks is None:
            return None
        fit = self._chunks.feed(piece, self._chunk_whole and chunk.last)
        return ContentReceived(fit) if fit else None

    def _end_of_chunk(self, chunk: BdatCommand) -> ServerEvent | None:
        content = self._chunks
        if self._chunk_denied is not None or content is None:
            reply = self._chunk_denied or replies.OK
            self._reply(reply)
            return self._count(CommandRefused("BDAT", reply))
        if content.refusal is None and not chunk.last:
            self._reply(ServerReply(250, "2.0.0", f"{chunk.size} octets taken"))
            if chunk.size:
                self._counts.progress()
            return None
        self._chunks = None
        self.state = State.READY
        if content.refusal is not None:
            self._counts.failed()
            self._reply(content.refusal)
            return ContentRefused(content.refusal)
        return self._ask(ContentEnded(content.size), replies.OK, State.READY, self._counts.message)

    # --- answers

    def _ask(
        self, event: Question, yes: ServerReply, state: State, wiped: Callable[[], None] | None = None
    ) -> ServerEvent:
        """:param wiped: what doesn't count any more when the answer is yes."""
        self._asked = yes
        self._accepted_state = state
        self._wiped = wiped
        return event

    def _answer(self, reply: ServerReply) -> None:
        self._asked = self._wiped = None
        self._reply(reply)

    def _reply(self, reply: ServerReply) -> None:
        self._counts.replied(reply.code)
        self._out.append(reply.encode())
