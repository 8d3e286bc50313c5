"""Which command may come in which state of a session (RFC 5321 §4.1.4). What isn't in the table is denied."""

from __future__ import annotations

import enum

from seg.smtp.commands import Verb
from seg.smtp.reply import Reply


class State(enum.StrEnum):
    """Where a session stands."""

    START = "start"  # before EHLO or HELO; again after STARTTLS (RFC 3207 §4.2)
    READY = "ready"  # no transaction
    MAIL = "mail"  # MAIL was accepted, no recipient yet
    RCPT = "rcpt"  # at least one recipient was accepted
    DATA = "data"  # the content arrives
    BDAT = "bdat"  # a chunk was taken; more follow (RFC 3030)
    AUTH = "auth"  # AUTH was given: what comes is a response to a challenge (RFC 4954)
    TLS = "tls"  # 220 was given to STARTTLS: nothing is read until the handshake is done
    ENDED = "ended"  # the last reply was given


class CommandStep(enum.StrEnum):
    """What is done for a command that is allowed."""

    GREET = "greet"  # begin, dropping a transaction (§4.1.4)
    START_TLS = "start tls"
    AUTHENTICATE = "authenticate"
    REPRESENT = "take it for another client"
    BEGIN = "begin a transaction"
    ADD_RECIPIENT = "add a recipient"
    TAKE_DATA = "take the content"
    TAKE_CHUNK = "take a chunk of the content"
    RESET = "drop the transaction"
    NOTHING = "nothing"
    VERIFY = "verify"
    EXPLAIN = "explain"
    QUIT = "quit"


_ANY_TIME = {
    Verb.EHLO: CommandStep.GREET,
    Verb.HELO: CommandStep.GREET,
    Verb.RSET: CommandStep.RESET,
    Verb.NOOP: CommandStep.NOTHING,
    Verb.VRFY: CommandStep.VERIFY,
    Verb.HELP: CommandStep.EXPLAIN,
    Verb.QUIT: CommandStep.QUIT,
}
_IN_STATE = {
    State.START: {Verb.XCLIENT: CommandStep.REPRESENT},
    State.READY: {
        Verb.MAIL: CommandStep.BEGIN,
        Verb.STARTTLS: CommandStep.START_TLS,
        Verb.AUTH: CommandStep.AUTHENTICATE,
        Verb.XCLIENT: CommandStep.REPRESENT,
    },
    State.MAIL: {Verb.RCPT: CommandStep.ADD_RECIPIENT},
    State.RCPT: {
        Verb.RCPT: CommandStep.ADD_RECIPIENT,
        Verb.DATA: CommandStep.TAKE_DATA,
        Verb.BDAT: CommandStep.TAKE_CHUNK,
    },
    State.BDAT: {Verb.BDAT: CommandStep.TAKE_CHUNK},
}

ALLOWED: dict[tuple[State, Verb], CommandStep] = {
    (state, verb): step for state, own in _IN_STATE.items() for verb, step in (_ANY_TIME | own).items()
}

_BAD_SEQUENCE = Reply.of(503, "5.5.1", "Bad sequence of commands")
_GREET_FIRST = Reply.of(503, "5.5.1", "Send EHLO or HELO first")
_MAIL_FIRST = Reply.of(503, "5.5.1", "Send MAIL first")
# More helpful words for some of the denials.
_DENIED = {
    (State.START, Verb.MAIL): _GREET_FIRST,
    (State.START, Verb.RCPT): _GREET_FIRST,
    (State.START, Verb.DATA): _GREET_FIRST,
    (State.START, Verb.STARTTLS): _GREET_FIRST,
    (State.START, Verb.AUTH): _GREET_FIRST,
    (State.READY, Verb.RCPT): _MAIL_FIRST,
    (State.READY, Verb.DATA): _MAIL_FIRST,
    (State.MAIL, Verb.MAIL): Reply.of(503, "5.5.1", "Sender already given"),
    (State.RCPT, Verb.MAIL): Reply.of(503, "5.5.1", "Sender already given"),
    (State.MAIL, Verb.DATA): Reply.of(554, "5.5.1", "No valid recipients"),  # §3.3
    (State.MAIL, Verb.BDAT): Reply.of(554, "5.5.1", "No valid recipients"),
    (State.START, Verb.BDAT): _GREET_FIRST,
    (State.READY, Verb.BDAT): _MAIL_FIRST,
}


def denial(state: State, verb: Verb) -> Reply:
    """The reply to a command that isn't allowed now."""
    return _DENIED.get((state, verb), _BAD_SEQUENCE)
