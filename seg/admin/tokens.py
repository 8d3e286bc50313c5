"""The grammar of the tokens file: one line a token, with its hash and what it is good for. Pure functions.

::

    # a comment
    backup look 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    deploy act 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 2027-03-31

The name, the role, the SHA-256 of the token, and the last day (UTC) on which it counts, if it has one. A token is 256 random
bits: nobody finds it from its hash by guessing, so a slow hash would protect nothing. A line that can't be read is told and
passed over, and stays in the file.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

import attrs

from seg.admin.roles import Role
from seg.auth.entries import named_lines

PREFIX = "seg_"  # by which programs that look for leaked secrets know a token
LONGEST = 200  # octets of what is taken for a token at all
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_HEAD = """\
# Who may use the admin API over TCP: name, role (watch, look or act), SHA-256 of the token, last day. Written by "seg token".
"""


@attrs.frozen
class Token:
    """What is kept of one token."""

    name: str
    role: Role
    hash: str = attrs.field(repr=False)  # SHA-256, hexadecimal
    until: datetime.date | None = None  # the last day on which it counts, UTC

    def line(self) -> str:
        """The token's line, without its end."""
        return " ".join([self.name, self.role, self.hash, *([self.until.isoformat()] if self.until else [])])

    def over(self, today: datetime.date) -> bool:
        """Whether its last day has passed."""
        return self.until is not None and today > self.until


@attrs.frozen
class Tokens:
    """What a tokens file holds."""

    by_name: Mapping[str, Token] = attrs.field(factory=dict)
    faults: tuple[str, ...] = ()  # a line for people for each line that was passed over

    def find(self, secret: bytes) -> Token | None:
        """Whose token this is. Takes as long for one as for another."""
        wanted = hash_of(secret)
        found = None
        for token in self.by_name.values():
            if hmac.compare_digest(token.hash, wanted):
                found = token
        return found


def new_secret() -> str:
    """A token as its owner gets it: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: bytes) -> str:
    """What the file keeps of a token."""
    return hashlib.sha256(secret).hexdigest()


def parse_name(text: str) -> str:
    """The name of a token; capitals are small letters.

    :raises ValueError: it can't be one.
    """
    name = text.lower()
    if name.startswith(PREFIX):  # and would be written into logs
        raise ValueError(f"a token's name doesn't begin with {PREFIX}: tokens themselves do")
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a token's name has at most 64 letters (a to z), digits and . _ @ -, and begins with a letter or digit"
        )
    return name


def parse_day(text: str) -> datetime.date:
    """A day such as 2027-03-31.

    :raises ValueError: it isn't one.
    """
    try:
        if _DAY.fullmatch(text):
            return datetime.date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("the last day wants the form 2027-03-31")


def parse_tokens(text: str) -> Tokens:
    """All tokens, and a fault for each line that isn't one. Of two lines with one name the first counts."""
    return Tokens(*named_lines(text, parse_line))


def parse_line(line: str) -> Token | None:
    """The token of a line, None for a comment or an empty one.

    :raises ValueError: it is neither; the message is one line for people, without anything secret.
    """
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    name = parse_name(words[0])
    if len(words) not in (3, 4):
        raise ValueError(
            f"{name}: a line has a name, a role, a hash and perhaps a day; this one has {len(words)} words"
        )
    if words[1] not in [*Role]:
        raise ValueError(f"{name}: the role must be watch, look or act")
    if not _HASH.fullmatch(words[2]):
        raise ValueError(f"{name}: the hash isn't 64 hexadecimal digits")
    try:
        until = parse_day(words[3]) if len(words) == 4 else None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return Token(name, Role(words[1]), words[2], until)


def with_token(text: str, token: Token) -> str:
    """The file with this token's line at the end, and no other of its name. All else stays as it is."""
    return without_token(text or _HEAD, token.name) + token.line() + "\n"


def without_token(text: str, name: str) -> str:
    """The file without any line of this name, be the rest of it readable or not."""
    return "".join(f"{line}\n" for line in text.splitlines() if not _names(line, name))


def _names(line: str, name: str) -> bool:
    first = line.split(maxsplit=1)[:1]
    return bool(first) and first[0].lower() == name
