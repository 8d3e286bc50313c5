"""The grammar of the users file: one line a user, with what is kept of the password. Pure functions.

::

    # a comment
    alice@example.com $argon2id$v=19$m=19456,t=2,p=1$... SCRAM-SHA-256$15000:...$...:...

The name, the Argon2 hash for PLAIN and LOGIN, the keys for SCRAM; ``-`` or nothing stands for what there isn't. A line that
can't be read is told and passed over, and stays in the file.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterator, Mapping

import attrs

from seg.auth.entries import named_lines
from seg.auth.names import InvalidName, prepare_name
from seg.auth.passwords import hash_fault, hash_password
from seg.auth.scram_keys import ScramKeys, derive, format_keys, parse_keys

NONE = "-"
_DECOY = re.compile(r"# decoy key: ([A-Za-z0-9+/=]{24,100})", re.ASCII)
_HEAD = """\
# Who may hand in mail after AUTH: user name, Argon2 hash, SCRAM keys. Written by "seg user"; see docs/submission.md.
# From the next line users who don't exist get their salt, so that nobody can tell them from those who do:
# decoy key: {key}
"""


@attrs.frozen
class User:
    """What is kept of one user."""

    name: str  # prepared
    password: str = attrs.field(default="", repr=False)  # Argon2 hash; "" = no PLAIN and LOGIN
    scram: ScramKeys | None = None  # None: no SCRAM

    def line(self) -> str:
        """The user's line, without its end."""
        words = [self.name, self.password or NONE]
        return " ".join([*words, format_keys(self.scram)] if self.scram else words)


@attrs.frozen
class Users:
    """What a users file holds."""

    by_name: Mapping[str, User] = attrs.field(factory=dict)
    faults: tuple[str, ...] = ()  # a line for people for each line that was passed over
    decoy_key: bytes = attrs.field(default=b"", repr=False)  # b"" = the file has none


def new_user(name: str, password: str, *, scram: bool = True) -> User:
    """A user with a password, both prepared already. Takes its time.

    :param scram: keep keys for SCRAM besides: they are weaker against somebody who steals the file.
    """
    return User(name, hash_password(password), derive(password) if scram else None)


def parse_users(text: str) -> Users:
    """All users, and a fault for each line that isn't one. Of two lines with one name the first counts."""
    users, faults = named_lines(text, parse_line)
    keys = (_decoded(found[1]) for line in text.splitlines() if (found := _DECOY.fullmatch(line)))
    return Users(users, faults, next(filter(None, keys), b""))


def parse_line(line: str) -> User | None:
    """The user of a line, None for a comment or an empty one.

    :raises ValueError: it is neither; the message is one line for people, without anything secret.
    """
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    try:
        name = prepare_name(words[0])
    except InvalidName as error:
        raise ValueError(str(error)) from None
    if len(words) not in (2, 3):
        raise ValueError(f"{name}: a line has a name, an Argon2 hash and SCRAM keys; this one has {len(words)} words")
    password = "" if words[1] == NONE else words[1]
    fault = hash_fault(password) if password else ""
    if fault:
        raise ValueError(f"{name}: {fault}")
    if len(words) == 2 or words[2] == NONE:
        return User(name, password)
    try:
        return User(name, password, parse_keys(words[2]))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def with_user(text: str, user: User) -> str:
    """The file with this user's line in the place of the old one, or at the end. All else stays as it is."""
    lines = (text or _HEAD.format(key=base64.b64encode(secrets.token_bytes(32)).decode("ascii"))).splitlines()
    places = [number - 1 for number, line in _numbered(text) if _names(line, user.name)] if text else []
    if places:
        lines[places[0]] = user.line()
        for place in reversed(places[1:]):
            del lines[place]
    else:
        lines.append(user.line())
    return "\n".join(lines) + "\n"


def without_user(text: str, name: str) -> str:
    """The file without any line of this user."""
    return "".join(f"{line}\n" for line in text.splitlines() if not _names(line, name))


def _names(line: str, name: str) -> bool:
    """Whether a line is of this user, be the rest of it readable or not."""
    first = line.split(maxsplit=1)[:1]
    if not first or first[0].startswith("#"):
        return False
    try:
        return prepare_name(first[0]) == name
    except InvalidName:
        return False


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.splitlines(), 1)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
