"""The server's side of an ESMTP session, sans I/O.

How an adapter drives it::

    for event in connection.receive(octets):
        ...  # answer MailCommand, RcptCommand and ContentEnded with `accept` or `refuse`, now or later
    transport.write(connection.data_to_send())

Nothing is read before `greet`. While an answer is due nothing more is read either: the iterator ends, what has come stays in
the buffer (`buffered`), and ``receive(b"")`` goes on after the answer. So pipelined commands (RFC 2920) are answered in
order, and their replies gather. How much is done in one go the adapter says by `most`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

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
from seg.smtp.lines import LINE_LIMIT, LineError
from seg.smtp.reply import Reply
from seg.smtp.server_content import IncomingChunks, IncomingContent
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
    RcptCommand,
    ServerEvent,
    SessionEnded,
    TLSWanted,
    VrfyCommand,
    XclientCommand,
)
from seg.smtp.server_extensions import extensions
from seg.smtp.server_options import AddressLeniency, ServerOptions, VrfyPolicy
from seg.smtp.server_session import ServerSession
from seg.smtp.server_table import ALLOWED, CommandStep, State, denial
from seg.smtp.xclient import NOT_PERMITTED, parse_xclient

NEEDS_TLS = frozenset({Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.VRFY})  # BDAT is read whatever is said to it


class ServerConnection(ServerSession):
    """One session: reads commands and content, and gives out what they mean."""

    def __init__(self, options: ServerOptions) -> None:
        super().__init__(options)
        self.interrupted = False  # `receive` ended because of `most`
        self.feed = self._lines.feed  # takes octets, to be looked at later
        self._chunk_left = 0  # octets of the chunk that haven't come
        self._chunk_whole = False  # all of it has been taken
        self._chunk_denied: Reply | None = None  # its octets are passed over, then this is said

    def receive(self, data: bytes, most: int = sys.maxsize) -> Iterator[ServerEvent]:
        """Take octets from the client; what they mean comes out while iterating.

        :param most: lines, chunks and pieces of content that are looked at; see `interrupted`.
        """
        if data:
            self.feed(data)
        self.interrupted = False
        counts, lines = self._counts, self._lines
        while not self.awaiting:
            event: ServerEvent | None
            if self._ending is not None:
                event, self._ending = self._ending, None
            elif not self._open or self.state is State.ENDED or self.state is State.TLS:
                return
            elif not most:
                self.interrupted = True
                return
            elif self._content is not None:
                if not (lines.left or self._content.ended):
                    return
                most -= 1
                event = self._next_content(self._content)
            elif self._chunk is not None:
                if self._chunk_left and not lines.left:
                    return
                most -= 1
                event = self._next_of_chunk(self._chunk)
            elif counts.refusals >= self.options.max_refusals or counts.idle >= self.options.max_idle_commands:
                event = self._end_with(replies.TOO_MANY_ERRORS)  # the client goes on without getting anywhere
            else:
                line = (
                    lines.next(auth.RESPONSE_LIMIT if self.state is State.AUTH else LINE_LIMIT) if lines.left else None
                )
                if line is None:
                    return
                most -= 1
                self.commands += 1
                event = self._line(line)
            if event is not None:
                yield event

    # --- commands

    def _line(self, line: bytes | LineError) -> ServerEvent | None:
        """A command, or a line of an AUTH exchange."""
        if self.state is State.AUTH or isinstance(line, LineError):
            return self._no_command(line)
        text, refusal = (line.decode(), None) if line.isascii() else _decoded(line)
        if refusal is not None:
            return self._fault(text, refusal)
        word, argument = split(text)
        verb = VERBS.get(word)
        if verb is None:
            return self._unknown(word, text)
        self._behind_auth = verb is Verb.AUTH
        step = ALLOWED.get((self.state, verb))
        if verb is Verb.BDAT:
            return self._begin_chunk(argument, None if step else denial(self.state, verb))
        if verb is Verb.AUTH and not self.options.auth:
            refusal = auth.AUTH_NOT_OFFERED
        elif self.options.tls_required and not self.tls and verb in NEEDS_TLS:
            refusal = replies.STARTTLS_FIRST
        elif step is None:
            refusal = denial(self.state, verb)
        elif argument and verb in WITHOUT_ARGUMENT:
            refusal = replies.NO_ARGUMENT
        else:
            try:
                return _STEPS[step](self, verb, argument)
            except CommandError as error:
                refusal = error.reply
        return self._fault(text, refusal)

    def _no_command(self, line: bytes | LineError) -> ServerEvent:
        """A line of an AUTH exchange, or what is no line."""
        if isinstance(line, LineError) and (reply := replies.ENDING_LINES.get(line)):
            return self._end_with(reply)
        if self.state is State.AUTH:
            return self._auth_line(line)
        assert isinstance(line, LineError)
        self._behind_auth = True  # it may have been one
        return self._fault("", Reply.of(500, "5.5.2", line.value))

    # What is done for each command that the table allows. Any of them may raise `CommandError`.

    def _hello(self, verb: Verb, argument: str) -> ServerEvent | None:
        self.helo = parse_greeting(argument)
        self.esmtp = verb is Verb.EHLO
        dropped = self._drop(verb)
        if self.state is not State.START:
            self._counts.idle += 1
        self.state = State.READY
        lines = [self.options.hostname]
        if self.esmtp:
            mechanisms = () if self.identity else self.mechanisms
            lines += extensions(self.options, self.tls, mechanisms, self.xclient_allowed)
        last = lines.pop()
        self._out.append("".join([*(f"250-{line}\r\n" for line in lines), f"250 {last}\r\n"]).encode("ascii"))
        return dropped

    def _mail(self, verb: Verb, argument: str) -> ServerEvent:
        if self.options.auth_required and not self.identity:
            raise CommandError(auth.AUTH_REQUIRED)
        lenient = self.options.lenient
        may = lenient is AddressLeniency.RELAY and (self.may_relay or bool(self.identity))
        self._domain = self.options.hostname if may or lenient is AddressLeniency.ALL else ""
        arguments = parse_mail(argument, bool(self.mechanisms), self._domain)
        if arguments.requiretls and not self.tls:  # RFC 8689 §2: it wasn't offered
            raise CommandError(replies.TLS_NEEDED)
        self._utf8 = arguments.smtputf8
        if arguments.size > self.options.max_message_size:
            self._reply(replies.TOO_LARGE)  # RFC 1870 §6.1: no need to let it arrive
            return MailTooLarge(arguments)
        return self._ask(MailCommand(arguments), replies.SENDER_OK, State.MAIL)

    def _rcpt(self, verb: Verb, argument: str) -> ServerEvent:
        arguments = parse_rcpt(argument, self._utf8, self._domain)
        return self._ask(RcptCommand(arguments), replies.RECIPIENT_OK, State.RCPT)

    def _data(self, verb: Verb, argument: str) -> ServerEvent:
        self._reply(replies.START_DATA)
        self._content = IncomingContent(self.options.max_message_size, self.options.normalise)
        self.content_octets = 0
        self.state = State.DATA
        return DataStarted()

    def _rset(self, verb: Verb, argument: str) -> ServerEvent | None:
        self._reply(replies.OK)
        return self._drop(verb)

    def _noop(self, verb: Verb, argument: str) -> None:
        self._reply(replies.OK)

    def _help(self, verb: Verb, argument: str) -> None:
        self._reply(replies.HELP)

    def _quit(self, verb: Verb, argument: str) -> ServerEvent:
        self.end(replies.GOODBYE)
        return SessionEnded("")

    def _xclient(self, verb: Verb, argument: str) -> ServerEvent:
        if not self.xclient_allowed:
            raise CommandError(NOT_PERMITTED)
        return self._ask(XclientCommand(parse_xclient(argument)), replies.OK, State.START)

    def _vrfy(self, verb: Verb, argument: str) -> ServerEvent | None:
        """VRFY (RFC 5321 §3.5), by the operator's choice."""
        if not argument:
            raise CommandError(replies.ARGUMENT_REQUIRED)
        if self.options.vrfy is VrfyPolicy.REFUSE:
            raise CommandError(replies.VRFY_DISABLED)
        if self.options.vrfy is VrfyPolicy.NONCOMMITTAL:
            self._reply(replies.NOT_VERIFIED)
            return None
        bare = argument.strip().removeprefix("<").removesuffix(">")
        address = parse_rcpt(f"TO:<{bare}>", False).address
        return self._ask(VrfyCommand(address), Reply.of(250, "2.1.5", f"<{address}>"), self.state)

    def _starttls(self, verb: Verb, argument: str) -> ServerEvent:
        if not self.options.starttls:
            raise CommandError(replies.TLS_NOT_OFFERED)
        if self.tls:
            raise CommandError(replies.TLS_ACTIVE)
        # What follows in clear text could have been put there by anybody on the way, and must never run
        # inside TLS.
        if self._lines.left:
            return self._end_with(replies.BEHIND_STARTTLS)
        self._reply(replies.START_TLS)
        self.state = State.TLS
        return TLSWanted()

    def _auth(self, verb: Verb, argument: str) -> ServerEvent:
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

    def _unknown(self, word: str, text: str) -> ServerEvent:
        if word in OTHER_PROTOCOLS:
            return self._end_with(replies.NOT_SMTP)
        self._reply(replies.NOT_IMPLEMENTED if word in NOT_IMPLEMENTED else replies.UNKNOWN)
        return self._count(CommandUnknown(self._shown(text)))

    # --- content

    def _next_content(self, content: IncomingContent) -> ServerEvent | None:
        if not content.ended:
            taken = self._lines.take()
            piece = content.feed(taken)
            self.content_octets += len(taken)
            if content.ended:
                self.feed(content.rest)
            elif content.size > self.options.most_read:
                return self._end_with(replies.ENDLESS_CONTENT)
            if piece or not content.ended:
                return ContentReceived(piece) if piece else None
        self._content = None
        self.state = State.READY
        if content.refusal is not None:
            return self._refuse_content(content.refusal)
        return self._ask(ContentEnded(content.size), replies.OK, State.READY)

    def _refuse_content(self, reply: Reply) -> ContentRefused:
        """Where lines aren't what they should be, the client may see the end of the content elsewhere, or somebody wants it to be
        seen there: what follows isn't read as commands. (The octets of chunks are counted: there nobody can be mistaken.)"""
        self._counts.failed()
        if reply not in replies.BAD_LINES:
            self._reply(reply)
            return ContentRefused(reply)
        last = Reply.of(reply.code, reply.enhanced, f"{reply.message}; closing connection")
        self.end(last)
        self._ending = SessionEnded("")
        return ContentRefused(last)

    # --- chunks (RFC 3030)

    def _begin_chunk(self, argument: str, denied: Reply | None) -> ServerEvent | None:
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
            self._reply(Reply.of(250, "2.0.0", f"{chunk.size} octets taken"))
            if chunk.size:
                self._counts.progress()
            return None
        self._chunks = None
        self.state = State.READY
        if content.refusal is not None:
            self._counts.failed()
            self._reply(content.refusal)
            return ContentRefused(content.refusal)
        return self._ask(ContentEnded(content.size), replies.OK, State.READY)


_STEPS: dict[CommandStep, Callable[[ServerConnection, Verb, str], ServerEvent | None]] = {
    CommandStep.ADD_RECIPIENT: ServerConnection._rcpt,
    CommandStep.BEGIN: ServerConnection._mail,
    CommandStep.TAKE_DATA: ServerConnection._data,
    CommandStep.GREET: ServerConnection._hello,
    CommandStep.RESET: ServerConnection._rset,
    CommandStep.START_TLS: ServerConnection._starttls,
    CommandStep.AUTHENTICATE: ServerConnection._auth,
    CommandStep.REPRESENT: ServerConnection._xclient,
    CommandStep.QUIT: ServerConnection._quit,
    CommandStep.NOTHING: ServerConnection._noop,
    CommandStep.EXPLAIN: ServerConnection._help,
    CommandStep.VERIFY: ServerConnection._vrfy,
}


def _decoded(line: bytes) -> tuple[str, Reply | None]:
    """A line beyond ASCII, and why it can't be taken: only addresses may be (RFC 6531 §3.3)."""
    if line[:5].upper() not in (b"MAIL ", b"RCPT "):
        return line.decode("ascii", "backslashreplace"), replies.NOT_ASCII
    try:
        return line.decode(), None
    except UnicodeDecodeError:
        return line.decode("ascii", "backslashreplace"), replies.NOT_UTF8
