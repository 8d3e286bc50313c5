"""The command line of sendmail, as Sendmail 8, Postfix and Exim take it: options first, values glued or apart."""

from __future__ import annotations

import attrs

from seg.mail.envelope import BodyType, DSNNotify, DSNRet

# Options with a value that change nothing here: configuration and tracing of Sendmail.
_IGNORED_WITH_VALUE = "AehLp"
_IGNORED = "cGmnUx"
_WITH_VALUE = "BCFNOoRVXbfr"
_MODES = ("i", "m", "p", "s", "v", "h", "H")
_DAEMONS = ("d", "D", "l")
NOTHING_TO_DO = ("i", "h", "H")  # aliases are read again by themselves, and there is no file of hosts' states
_DOTS_IGNORED = ("i", "IgnoreDots", "IgnoreDots=True", "IgnoreDots=true")


class UsageFault(ValueError):
    """The command line is wrong; the text says how (EX_USAGE)."""


@attrs.define
class SendmailOptions:
    """What the command line asks for."""

    mode: str = "m"  # the letter behind -b; "help"
    recipients: list[str] = attrs.field(factory=list)
    from_header: bool = False  # -t: recipients are in To, Cc and Bcc
    sender: str | None = None  # as in -f
    name: str = ""
    dot_ends: bool = True
    body: BodyType | None = None
    notify: frozenset[DSNNotify] | None = None
    ret: DSNRet = DSNRet.UNSAID
    envid: str = ""
    flush: bool = False
    only_message: str = ""  # of those that wait, as in -qI
    only_site: str = ""  # the same, as in -qR
    verbose: bool = False
    configuration: str | None = None


def parse(arguments: list[str]) -> SendmailOptions:
    """The options and recipients in a command line.

    :raises UsageFault: it has an option that doesn't exist, a value that can't be, or options that don't go together.
    """
    wanted = SendmailOptions()
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word == "--help":
            wanted.mode = "help"
            continue
        if word.startswith("--"):
            raise UsageFault(f"there is no option {word[:100]}")
        _word(wanted, word[1:], rest)
    wanted.recipients = rest
    if wanted.mode not in ("m", "v", "help") and (rest or wanted.from_header):
        raise UsageFault(f"-b{wanted.mode} takes no recipients")
    if (wanted.only_message or wanted.only_site) and (rest or wanted.from_header):
        raise UsageFault("-qI and -qR take no recipients")
    return wanted


def _word(wanted: SendmailOptions, letters: str, rest: list[str]) -> None:
    """One word of options: flags run together, or one with the value that ends the word."""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter == "q":  # its value is optional, and glued
            _flush(wanted, letters)
            return
        if letter == "d":  # the same with the level of tracing
            return
        if letter == "t":
            wanted.from_header = True
        elif letter == "i":
            wanted.dot_ends = False
        elif letter == "v":
            wanted.verbose = True
        elif letter == "I":
            wanted.mode = "i"
        elif letter not in _IGNORED:
            if letter not in _WITH_VALUE + _IGNORED_WITH_VALUE:
                raise UsageFault(f"there is no option -{letter}")
            if not letters and not rest:
                raise UsageFault(f"option -{letter} needs a value")
            _value(wanted, letter, letters or rest.pop(0))
            return


def _flush(wanted: SendmailOptions, value: str) -> None:
    """``-q``, or what is to be tried: one message, one site. An interval says how often a daemon is to do it, and changes nothing."""
    kind, what = value[:1], value[1:]
    if kind == "I":
        if not what.isdecimal() or not what.isascii():
            raise UsageFault("-qI takes the number of a message (MID)")
        wanted.only_message = what
    elif kind == "R":
        if not what:
            raise UsageFault("-qR takes a domain")
        wanted.only_site = what
    elif kind and kind not in "0123456789fp":
        raise UsageFault(f"-q{kind} isn't served; there are -q, -qI and -qR")
    wanted.flush = True


def _value(wanted: SendmailOptions, letter: str, value: str) -> None:
    if letter in "fr":
        wanted.sender = value
    elif letter == "F":
        wanted.name = value
    elif letter == "C":
        wanted.configuration = value
    elif letter in "oO":
        wanted.dot_ends = wanted.dot_ends and value not in _DOTS_IGNORED
    elif letter == "X":
        if value.startswith("V") and len(value) in (1, 3):
            raise UsageFault("-XV isn't served: there is no VERP here")
    elif letter == "b":
        wanted.mode = _mode(value)
    elif letter == "B":
        if value.upper() not in ("7BIT", "8BITMIME"):
            raise UsageFault(f"-B takes 7BIT or 8BITMIME, not {value}")
        wanted.body = BodyType(value.upper())
    elif letter == "N":
        wanted.notify = _notify(value)
    elif letter == "R":
        if value.lower() not in ("full", "hdrs"):
            raise UsageFault(f"-R takes full or hdrs, not {value}")
        wanted.ret = DSNRet(value.upper())
    elif letter == "V":
        wanted.envid = xtext(value)


def _mode(value: str) -> str:
    if value in _DAEMONS:
        raise UsageFault(
            f"-b{value} isn't served: the gateway is a service of its own (twistd seg, or its systemd unit)"
        )
    if value not in _MODES:
        raise UsageFault(f"-b{value} isn't served; there are -bi, -bm, -bp, -bs and -bv")
    return value


def _notify(value: str) -> frozenset[DSNNotify]:
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return frozenset()
    try:
        return frozenset(DSNNotify(word) for word in words)
    except ValueError:
        raise UsageFault(f"-N takes never, or some of success,failure,delay; not {value}") from None


def xtext(value: str) -> str:
    """An envelope id as RFC 3461 §4 wants it written."""
    if not value.isascii() or not value.isprintable() or len(value) > 100:
        raise UsageFault("-V takes at most 100 printable ASCII characters")
    return "".join(each if each not in "+= " else f"+{ord(each):02X}" for each in value)
