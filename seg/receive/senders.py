"""Which addresses an authenticated user may send as: in MAIL, and in the header's From."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from seg.auth.names import InvalidName, prepare_name
from seg.config.receive import Auth
from seg.mail.address import domain_of, local_part
from seg.smtp.address import PathError, parse_forward_path

ANY = "all"
MOST_FIELDS = 20  # that say who sent the message
LONGEST = 4000  # octets of a field that is read; no honest From has more
# What says who sent a message, or sent it again (RFC 5322 §3.6.2, §3.6.6). A colon may have spaces before it (§4.5.2).
_FIELD = re.compile(
    rb"\r\n(from|sender|resent-from|resent-sender)[ \t]*:((?:[^\r]|\r(?!\n[^ \t])(?!\n?\Z))*)", re.IGNORECASE
)
_BREAKS = ("Cc", "Zl", "Zp")  # controls, and what breaks a line
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>"]*(?:"(?:[^"\\]|\\.)*"[^<>"]*)?>|[,:;]|[^\s"<>,:;]+', re.DOTALL)


class SendersUnclear(ValueError):
    """A header doesn't say who sent the message in a way that everybody understands alike; the text is one line for people."""


class SenderRules:
    """What ``[auth]`` says of senders.

    With `Auth.senders` a user may use what his entry lists, and one without an entry his own address; with `Auth.own_address_only` each
    user without an entry may use his own address; with neither everybody may use any.
    """

    def __init__(self, settings: Auth) -> None:
        self.check_header = settings.check_header_from
        self._strict = settings.own_address_only or bool(settings.senders)
        self._entries = {_user(name): frozenset(map(_entry, entries)) for name, entries in settings.senders.items()}

    def may_use(self, user: str, address: str) -> bool:
        """Whether a user may send as this address; "" is the null reverse-path of notifications, which anybody may use."""
        if not self._strict or not address:
            return True
        entries = self._entries.get(_user(user))
        domain = domain_of(address)
        whole = f"{local_part(address).lower()}@{domain}"
        if entries is None:
            return whole == _entry(user)
        return whole in entries or f"@{domain}" in entries or ANY in entries

    def objection(self, user: str, header: bytes) -> str:
        """Why the header of a user's message can't stay, in a line for the log; "" when it can.

        Every address in From has to be the user's, and there has to be one; and so every address in Sender, Resent-From and
        Resent-Sender, if they are there: they excuse nothing.
        """
        if not self._strict or ANY in self._entries.get(_user(user), ()):
            return ""
        try:
            found = [*addresses_of(header)]
        except SendersUnclear as error:
            return str(error)
        for field, address in found:
            if not self.may_use(user, address):
                return f"{field} <{address}> isn't an address of {user}"
        return ""


NO_RULES = SenderRules(Auth())


def addresses_of(header: bytes) -> Iterator[tuple[str, str]]:
    """The fields that say who sent a message, each with one of its addresses. `header` begins with a CRLF.

    :raises SendersUnclear: From is missing or there twice, or one of them isn't a plain list of addresses (RFC 5322 §3.4; groups are
        allowed, RFC 6854 §2.1).
    """
    seen: set[bytes] = set()
    for number, match in enumerate(_FIELD.finditer(header)):
        if number == MOST_FIELDS:
            raise SendersUnclear("There are too many Resent fields")
        name, text = match[1].lower(), match[2]
        if name in seen and not name.startswith(b"resent-"):
            raise SendersUnclear(f"{name.decode().title()} is there twice")
        seen.add(name)
        title = name.decode().title()
        found = _mailboxes(title, text)
        if not found:
            raise SendersUnclear(f"{title} has no address")
        yield from ((title, address) for address in found)
    if b"from" not in seen:
        raise SendersUnclear("From is missing")


def _mailboxes(title: str, text: bytes) -> list[str]:
    """The addresses of one field. What stands in quotes and comments is a name; every other @ belongs to an address."""
    unclear = SendersUnclear(f"{title} can't be read")
    if len(text) > LONGEST:
        raise SendersUnclear(f"{title} is too long")
    try:
        bare = _without_comments(text.decode().replace("\r\n", ""))
    except UnicodeDecodeError:
        raise unclear from None
    if bare is None or any(unicodedata.category(c) in _BREAKS and c != "\t" for c in bare):
        raise unclear
    found: list[str] = []
    for member in _members(bare):
        angles = [token for token in member if token.startswith("<")]
        if len(angles) > 1 or (angles and member[-1] != angles[0]):
            raise unclear
        words = [token for token in member if not token.startswith(('"', "<"))]
        if angles:
            found += [angles[0][1:-1].strip(), *(word for word in words if "@" in word)]
        elif len(member) == 1 or (len(member) == 2 and member[0].startswith('"')):
            found.append("".join(member))
        else:
            raise unclear
    return [_address(each, unclear) for each in found]


def _members(text: str) -> Iterator[list[str]]:
    """The tokens of each member of a list; a group's name isn't one."""
    member: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        if text[end : match.start()].strip():
            break
        end = match.end()
        word = match[0]
        if word == ":":
            if any("@" in each for each in member if not each.startswith('"')):
                raise SendersUnclear("a group has an address for a name")
            member = []
        elif word in (",", ";"):
            if member:
                yield member
            member = []
        else:
            member.append(word)
    if text[end:].strip():
        raise SendersUnclear("a list of addresses can't be read")
    if member:
        yield member


def _without_comments(text: str) -> str | None:
    """The text without its comments, which may hold others (RFC 5322 §3.2.2); None when one doesn't end."""
    depth, parts, quoted = 0, [], False
    characters = iter(text)
    for character in characters:
        kept = not depth
        if character == "\\" and (depth or quoted):
            character += next(characters, "")
        elif character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth, kept = depth + 1, False
        elif character == ")" and depth:
            depth -= 1
            character = " "
            kept = not depth
        if kept:
            parts.append(character)
    return None if depth or quoted else "".join(parts)


def _address(text: str, unclear: SendersUnclear) -> str:
    try:
        path = parse_forward_path(f"<{text}>", 0)
    except PathError:
        raise unclear from None
    if path.end != len(text) + 2 or "@" not in path.address:
        raise unclear
    return path.address


def _entry(text: str) -> str:
    """An entry, or an address, as it is looked up."""
    return (
        ANY if text.lower() == ANY else f"{local_part(text).lower()}@{domain_of(text)}" if "@" in text else text.lower()
    )


def _user(name: str) -> str:
    """A user's name as it was prepared when he authenticated."""
    try:
        return prepare_name(name)
    except InvalidName:
        return name.lower()
