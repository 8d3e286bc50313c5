"""Command lines taken apart: verbs, arguments of MAIL and RCPT (RFC 5321 §4.1.1; RFC 1870, 3030, 3461, 6152, 6531, 8689)."""

from __future__ import annotations

import enum
import re

import attrs

from seg.mail.envelope import BodyType, DSNNotify, DSNRet
from seg.smtp.address import MAX_DOMAIN, PathError, parse_forward_path, parse_reverse_path
from seg.smtp.reply import Reply
from seg.smtp.server_replies import ADDRESS_NOT_ASCII

_FROM = re.compile(
    r"FROM: *", re.IGNORECASE
)  # §3.3 allows no space behind the colon, but many clients write one: harmless
_TO = re.compile(r"TO: *", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")
_CHUNK = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")
_ORCPT = re.compile(r"[A-Za-z0-9-]+;.+")
MAX_ENVID = 100  # characters (RFC 3461 §4.4)
MAX_ORCPT = 500  # characters (RFC 3461 §4.2)


class Verb(enum.StrEnum):
    """The commands that are served."""

    EHLO = "EHLO"
    HELO = "HELO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    RSET = "RSET"
    NOOP = "NOOP"
    VRFY = "VRFY"
    BDAT = "BDAT"
    QUIT = "QUIT"
    HELP = "HELP"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    XCLIENT = "XCLIENT"


VERBS = {verb.value: verb for verb in Verb}
# Known from the standards, but not served: 502 instead of 500 (§4.2.4).
NOT_IMPLEMENTED = frozenset({"EXPN", "TURN", "ATRN", "ETRN", "SEND", "SOML", "SAML", "BURL", "XFORWARD"})
# A browser talks HTTP to this port: whatever follows its header must not be taken for commands.
OTHER_PROTOCOLS = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PATCH", "DELETE", "TRACE"})
WITHOUT_ARGUMENT = frozenset({Verb.DATA, Verb.RSET, Verb.QUIT, Verb.STARTTLS})


class CommandError(ValueError):
    """The command is refused; `reply` says how."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


UNSAID = frozenset({DSNNotify.FAILURE, DSNNotify.DELAY})


@attrs.frozen
class MailArguments:
    """What follows MAIL."""

    reverse_path: str  # "" is the null reverse-path
    size: int = 0  # octets, as the client estimates; 0: it didn't say
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False  # addresses and header may be beyond ASCII
    ret: DSNRet = DSNRet.UNSAID
    envid: str = ""  # xtext
    requiretls: bool = False


@attrs.frozen
class RcptArguments:
    """What follows RCPT."""

    address: str
    notify: frozenset[DSNNotify] | None = None  # None: not said; empty: NEVER
    orcpt: str = ""  # address type and xtext: "rfc822;bob@example.com"

    def joined(self, other: RcptArguments) -> RcptArguments:
        """What is wished for one recipient who is named twice: all that one of both wishes. What isn't said means FAILURE, and may mean
        DELAY (RFC 3461 §4.1). The first original recipient is told of."""
        notify = self.notify
        if notify != other.notify:
            said = [each for each in (notify, other.notify) if each is not None]
            notify = frozenset().union(*said)
            if len(said) == 1:
                notify = notify | UNSAID if DSNNotify.SUCCESS in notify else None
        return attrs.evolve(self, notify=notify, orcpt=self.orcpt or other.orcpt)


def split(line: str) -> tuple[str, str]:
    """The verb in upper case, and its argument. White space at the end is dropped (§4.1.1), and so are spaces too many between them."""
    verb, _, argument = line.rstrip(" \t").partition(" ")
    return verb.upper(), argument.lstrip(" ")


def parse_greeting(argument: str) -> str:
    """The name that a client gives in EHLO or HELO. It is only looked at, never relied on, so any printable
    word will do.

    :raises CommandError: there is none, or it is more than a word.
    """
    name = argument.strip(" ")
    if not name or len(name) > MAX_DOMAIN or not name.isprintable() or " " in name:
        raise CommandError(Reply.of(501, "5.5.4", "Domain name or address literal required"))
    return name


def parse_mail(argument: str, auth: bool = False, default_domain: str = "") -> MailArguments:
    """``FROM:<path> [parameters]``.

    :param auth: AUTH is offered, and so is its parameter (RFC 4954 §5): it is checked, and nobody here relies on it.
    :param default_domain: as for `parse_reverse_path`.
    :raises CommandError: 501 for a malformed path or parameter, 553 for an address beyond ASCII without SMTPUTF8, 555 for an unknown
        parameter.
    """
    keyword = _FROM.match(argument)
    if keyword is None:
        raise CommandError(Reply.of(501, "5.5.4", "Syntax: FROM:<address>"))
    try:
        path = parse_reverse_path(argument, keyword.end(), default_domain)
    except PathError as error:
        raise CommandError(Reply.of(501, "5.1.7", str(error))) from None
    if path.end == len(argument):
        if not path.address.isascii():
            raise CommandError(ADDRESS_NOT_ASCII)
        return MailArguments(path.address)
    parameters = _parse_parameters(argument, path.end)
    size = parameters.pop("SIZE", "0")
    body = parameters.pop("BODY", "7BIT")
    utf8 = parameters.pop("SMTPUTF8", None)
    # Nothing is said by AUTH=<>: some clients say it to everybody.
    submitter = parameters.pop("AUTH", None) if auth or parameters.get("AUTH") == "<>" else None
    if submitter is not None and submitter != "<>" and not (submitter and _is_xtext(submitter)):
        raise CommandError(Reply.of(501, "5.5.4", "Malformed AUTH"))
    ret, envid, requiretls = (
        parameters.pop("RET", ""),
        parameters.pop("ENVID", None),
        parameters.pop("REQUIRETLS", None),
    )
    if parameters:
        raise _unknown(next(iter(parameters)))
    if not _SIZE.fullmatch(size):
        raise CommandError(Reply.of(501, "5.5.4", "Malformed SIZE"))
    if utf8:  # RFC 6531 §3.4: it has no value
        raise CommandError(Reply.of(501, "5.5.4", "SMTPUTF8 takes no value"))
    if requiretls:
        raise CommandError(Reply.of(501, "5.5.4", "REQUIRETLS takes no value"))
    if envid is not None and not is_envid(envid):
        raise CommandError(Reply.of(501, "5.5.4", "Malformed ENVID"))
    _check_ascii(path.address, utf8 is not None)
    try:
        kind = BodyType(body.upper())
    except ValueError:
        raise CommandError(Reply.of(501, "5.5.4", "Unknown BODY type")) from None
    try:
        wanted = DSNRet(ret.upper())
    except ValueError:
        raise CommandError(Reply.of(501, "5.5.4", "RET must be FULL or HDRS")) from None
    return MailArguments(path.address, int(size), kind, utf8 is not None, wanted, envid or "", requiretls is not None)


def parse_rcpt(argument: str, utf8: bool, default_domain: str = "") -> RcptArguments:
    """``TO:<path> [parameters]``: the recipient; ``Postmaster`` in any case may stand without a domain.

    :param utf8: MAIL had SMTPUTF8.
    :param default_domain: as for `parse_reverse_path`.
    :raises CommandError: 501 for a malformed path or parameter, 553 for an address beyond ASCII without SMTPUTF8, 555 for an
        unknown parameter.
    """
    keyword = _TO.match(argument)
    if keyword is None:
        raise CommandError(Reply.of(501, "5.5.4", "Syntax: TO:<address>"))
    try:
        path = parse_forward_path(argument, keyword.end(), default_domain)
    except PathError as error:
        raise CommandError(Reply.of(501, "5.1.3", str(error))) from None
    if path.end == len(argument) and path.address.isascii():
        return RcptArguments(path.address)
    parameters = _parse_parameters(argument, path.end) if path.end != len(argument) else {}
    notify, orcpt = parameters.pop("NOTIFY", None), parameters.pop("ORCPT", "")
    if parameters:
        raise _unknown(next(iter(parameters)))
    _check_ascii(path.address, utf8)
    if orcpt and not is_orcpt(orcpt):
        raise CommandError(Reply.of(501, "5.5.4", "Malformed ORCPT"))
    return RcptArguments(path.address, None if notify is None else _parse_notify(notify), orcpt)


def _parse_notify(text: str) -> frozenset[DSNNotify]:
    """``NEVER``, or any of the others with commas between (RFC 3461 §4.1)."""
    words = text.upper().split(",")
    if words == ["NEVER"]:
        return frozenset()
    try:
        asked = frozenset(map(DSNNotify, words))
    except ValueError:
        asked = frozenset()
    if len(asked) != len(words):
        raise CommandError(Reply.of(501, "5.5.4", "NOTIFY must be NEVER, or some of SUCCESS, FAILURE, DELAY"))
    return asked


def is_envid(text: str) -> bool:
    """Whether a text may stand as ENVID (RFC 3461 §4.4)."""
    return len(text) <= MAX_ENVID and _is_xtext(text)


def is_orcpt(text: str) -> bool:
    """Whether a text may stand as ORCPT (RFC 3461 §4.2): address type and xtext."""
    return len(text) <= MAX_ORCPT and _ORCPT.fullmatch(text) is not None and _is_xtext(text.partition(";")[2])


def _is_xtext(text: str) -> bool:
    """Whether a text is xtext (RFC 3461 §4): printable ASCII, with + before two hexadecimal digits for the rest."""
    return _XTEXT.fullmatch(text) is not None


@attrs.frozen
class BdatCommand:
    """What follows BDAT."""

    size: int  # octets that follow the command
    last: bool


def parse_bdat(argument: str) -> BdatCommand:
    """``<size> [LAST]`` (RFC 3030 §2).

    :raises CommandError: 501; nobody can say then how many octets follow, so that the connection can't go on.
    """
    match = _CHUNK.fullmatch(argument)
    if match is None:
        raise CommandError(Reply.of(501, "5.5.4", "Syntax: BDAT <size> [LAST]"))
    return BdatCommand(int(match.group(1)), match.group(2) is not None)


def _check_ascii(address: str, utf8: bool) -> None:
    if not utf8 and not address.isascii():  # RFC 6531 §3.4
        raise CommandError(ADDRESS_NOT_ASCII)


def _parse_parameters(argument: str, start: int) -> dict[str, str]:
    """``SP keyword[=value]`` pairs by their keyword in upper case; "" for a keyword without a value."""
    if not argument.startswith(" ", start):
        raise CommandError(Reply.of(501, "5.5.4", "Syntax error behind the address"))
    found: dict[str, str] = {}
    for word in argument[start:].split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise CommandError(Reply.of(501, "5.5.4", "Malformed parameter"))
        keyword = match.group(1).upper()
        if keyword in found:
            raise CommandError(Reply.of(501, "5.5.4", f"Parameter {keyword[:64]} given twice"))
        found[keyword] = match.group(2) or ""
    return found


def _unknown(keyword: str) -> CommandError:
    return CommandError(Reply.of(555, "5.5.4", f"Parameter {keyword[:64]} not recognised"))
