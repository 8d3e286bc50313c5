"""The policy file (RFC 8461 §3.2): bytes in, a policy or the fault out. Pure, and linear in the size.

The frame is read liberally (line ends, blank lines, order), the fields strictly: a field that needs guessing can
change which hosts match, and a wrong guess would replace a good cached policy.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

import attrs

from seg.policy.mtasts.errors import PolicyError, PolicyFault
from seg.tls.names import printable

MAX_SIZE = 65536  # octets (RFC 8461 §3.3 suggests 64 KB)
MAX_PATTERNS = 200  # of `mx`; RFC 8461 bounds the octets only, and who holds many policies pays for each pattern
MAX_LINES = 2000
MAX_AGE = 31557600  # seconds: about a year (RFC 8461 §3.2)
MEDIA_TYPE = "text/plain"

_BLANKS = " \t"
_BARE_CR = re.compile("\r(?!\n)")
_MX = re.compile(r"^mx:", re.MULTILINE)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
_SECONDS = re.compile(r"[0-9]{1,10}\Z")
_EXTENSION_VALUE = re.compile(r"[^\x00-\x1f\x7f]+\Z")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")  # RFC 5321 §4.1.2: sub-domain


class Mode(enum.StrEnum):
    """What a sender is to do when a host doesn't satisfy the policy."""

    ENFORCE = "enforce"  # not deliver to it
    TESTING = "testing"  # report it, and deliver
    NONE = "none"  # as if there were no policy


@attrs.frozen
class STSPolicy:
    """A valid policy."""

    mode: Mode
    mx: tuple[str, ...]  # patterns in the order given: A-labels, lower case; "*." first is a wildcard
    max_age: int  # seconds, at most `MAX_AGE`

    @property
    def text(self) -> str:
        """The policy in its published form: what counts of it, a field a line."""
        lines = ["version: STSv1", f"mode: {self.mode}", *(f"mx: {pattern}" for pattern in self.mx)]
        return "\n".join([*lines, f"max_age: {self.max_age}", ""])


def is_text_plain(media_type: str) -> bool:
    """Whether a Content-Type is ``text/plain``, with any parameters (RFC 8461 §3.2)."""
    return media_type.partition(";")[0].strip(_BLANKS).lower() == MEDIA_TYPE


def parse_policy(body: bytes, media_type: str = MEDIA_TYPE) -> STSPolicy:
    """The policy that a body holds.

    :param media_type: value of the Content-Type field, "" without one.
    :raises PolicyError: the body isn't a policy; the whole of it counts for nothing then.
    """
    text = _decode(body, media_type)
    _check_counts(text)
    first: dict[str, str] = {}
    patterns: list[str] = []
    for line, key, value in _fields(text):
        if key == "mx":
            patterns.append(_pattern(value, line))
        elif key not in _READERS:
            if not _EXTENSION_VALUE.match(value):
                raise PolicyError(PolicyFault.EXTENSION, f'"{key}" has a value that is not allowed', line)
        elif key not in first:  # of duplicates the first counts (RFC 8461 §3.2)
            first[key] = _READERS[key](value, line)
    for key, fault in _REQUIRED:
        if key not in first:
            raise PolicyError(fault, f'no "{key}"')
    mode = Mode(first["mode"])
    if mode is not Mode.NONE and not patterns:
        raise PolicyError(PolicyFault.NO_MX, f'mode {mode} without any "mx"')
    return STSPolicy(mode, tuple(patterns), min(int(first["max_age"]), MAX_AGE))


def _check_counts(text: str) -> None:
    """Refuse what would take long to read, before it is read."""
    patterns = sum(1 for _ in _MX.finditer(text))
    if patterns > MAX_PATTERNS:
        raise PolicyError(PolicyFault.TOO_MANY, f"policy has {patterns} mx patterns, more than {MAX_PATTERNS}")
    lines = text.count("\n") + (not text.endswith("\n"))
    if lines > MAX_LINES:
        raise PolicyError(PolicyFault.TOO_MANY, f"policy has {lines} lines, more than {MAX_LINES}")


def _decode(body: bytes, media_type: str) -> str:
    if len(body) > MAX_SIZE:
        raise PolicyError(PolicyFault.TOO_LARGE, f"more than {MAX_SIZE} octets")
    if not is_text_plain(media_type):
        shown = printable(media_type, 60) or "(none)"
        raise PolicyError(PolicyFault.MEDIA_TYPE, f"media type {shown} instead of {MEDIA_TYPE}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise PolicyError(PolicyFault.NOT_UTF8, "not UTF-8", line) from None
    if text.startswith("\ufeff"):
        raise PolicyError(PolicyFault.BOM, "begins with a byte order mark", 1)
    nul = text.find("\0")
    if nul >= 0:
        raise PolicyError(PolicyFault.CONTROL, "holds a NUL", text.count("\n", 0, nul) + 1)
    bare = _BARE_CR.search(text)
    if bare:
        line = text.count("\n", 0, bare.start()) + 1
        raise PolicyError(PolicyFault.BARE_CR, "holds a CR without LF", line)
    return text


def _fields(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, key, value) of each line that isn't blank."""
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r").rstrip(_BLANKS)
        if not line:
            continue
        key, colon, value = line.partition(":")
        if not colon:
            raise PolicyError(PolicyFault.NO_COLON, f'"{printable(line, 60)}" is not a field', number)
        if not _KEY.match(key):
            raise PolicyError(PolicyFault.KEY, f'"{printable(key, 60)}" is not a key', number)
        yield number, key, value.lstrip(_BLANKS)


def _version(value: str, line: int) -> str:
    if value != "STSv1":
        raise PolicyError(PolicyFault.VERSION, f'version "{printable(value, 60)}" is not STSv1', line)
    return value


def _mode(value: str, line: int) -> str:
    if value not in tuple(Mode):
        text = f'mode "{printable(value, 60)}" is none of {", ".join(Mode)}'
        raise PolicyError(PolicyFault.MODE, text, line)
    return value


def _max_age(value: str, line: int) -> str:
    if not _SECONDS.match(value):
        text = f'max_age "{printable(value, 60)}" is not a number of at most 10 digits'
        raise PolicyError(PolicyFault.MAX_AGE, text, line)
    return value


_READERS = {"version": _version, "mode": _mode, "max_age": _max_age}
_REQUIRED = (
    ("version", PolicyFault.NO_VERSION),
    ("mode", PolicyFault.NO_MODE),
    ("max_age", PolicyFault.NO_MAX_AGE),
)


def _pattern(value: str, line: int) -> str:
    """A host name, or ``*.`` and a host name, in lower case."""
    shown = printable(value, 60)
    pattern = value.lower() if value.isascii() else value
    labels = pattern.removeprefix("*.").split(".")
    if not all(map(_LABEL.match, labels)):
        raise PolicyError(PolicyFault.MX_SYNTAX, f'mx "{shown}" is not a host name', line)
    if len(pattern) > 253 or max(map(len, labels)) > 63:
        raise PolicyError(PolicyFault.MX_LENGTH, f'mx "{shown}" is too long for a host name', line)
    if labels[-1].isdigit():
        raise PolicyError(PolicyFault.MX_ADDRESS, f'mx "{shown}" is an address, not a host name', line)
    return pattern
