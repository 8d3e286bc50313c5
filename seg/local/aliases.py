"""The aliases file in the format of Sendmail and Postfix (aliases(5)): ``name: target, target``, with continuation lines and quotes.

Targets are addresses, names of this machine, ``/dev/null`` and ``:include:/file``. Commands and files, which the gateway doesn't serve, are
refused: the line is a fault, and mail for its name isn't lost for that (`Aliases.broken`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator

import attrs

from seg.mail.address import domain_of, local_part
from seg.smtp.address import PathError, check_forward_path
from seg.smtp.address_list import AddressListError, mailboxes

MOST_TARGETS = 10_000  # of one alias, those of its included files among them
MOST_FILES = 20  # included by one alias, directly or by one another
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:|([^\s:"#][^:"]*?)\s*:')
_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')
_WHOLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class TargetKind(enum.Enum):
    """What stands for a target (aliases(5)); the value is how it begins, and the first that fits counts."""

    INCLUDE = re.compile(r":include:\s*(.*)", re.IGNORECASE | re.DOTALL)
    NULL = re.compile(r"(/dev/null)\Z")
    COMMAND = re.compile(r"(\|.*)", re.DOTALL)
    FILE = re.compile(r"(/.*)", re.DOTALL)
    DIRECTIVE = re.compile(r"(:.*)", re.DOTALL)  # Sendmail has more of them: ":fail:", ":error:"
    FINAL = re.compile(r"\\(.*)", re.DOTALL)  # the name itself, without its alias
    ADDRESS = re.compile(r"(.*)", re.DOTALL)  # or a name of this machine

    @classmethod
    def of(cls, text: str) -> tuple[TargetKind, str]:
        """The kind of a target without its quotes, and what it names."""
        return next((kind, match[1].strip()) for kind in cls if (match := kind.value.match(text)))


Include = Callable[[str], str]  # the text of an included file; raises OSError and ValueError


class AliasFault(ValueError):
    """An entry can't be used; the text says why."""


@attrs.frozen
class Alias:
    """What one name stands for."""

    line: int
    targets: tuple[str, ...]  # addresses, and names of this machine in lower case
    discards: bool = False  # ``/dev/null`` is among them
    own: bool = False  # the user himself is among them (``\\name``, or the name within its own list)


@attrs.frozen
class Aliases:
    """What the file says."""

    entries: dict[str, Alias] = attrs.field(factory=dict)  # by name in lower case
    broken: dict[str, str] = attrs.field(factory=dict)  # names whose entry can't be used, with the fault
    faults: tuple[str, ...] = ()

    def key(self, name: str) -> str:
        """Under which name somebody is listed; that of ``user`` for ``user+detail``. "" when he isn't."""
        for each in (name, name.partition("+")[0]):
            if each and (each in self.entries or each in self.broken):
                return each
        return ""


def parse_aliases(text: str, include: Include, is_local: Callable[[str], bool]) -> Aliases:
    """The entries of a file.

    :param is_local: whether a domain is of this machine.
    """
    entries: dict[str, Alias] = {}
    broken: dict[str, str] = {}
    faults = []
    for number, logical in logical_lines(text):
        name = ""
        try:
            name, rest = _name(logical)
            if name in entries or name in broken:
                raise AliasFault(f"{name} stands there already, and that counts")
            entries[name] = _Reading(include, is_local).alias(name, number, rest)
        except AliasFault as fault:
            faults.append(f"line {number}: {fault}")
            if name and name not in entries:
                broken.setdefault(name, faults[-1])
    for name in _circular(entries, is_local):
        broken[name] = f"line {entries[name].line}: {name} leads round in a circle, so that nobody would get its mail"
        faults.append(broken[name])
        del entries[name]
    return Aliases(entries, broken, tuple(faults))


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that continue them (they begin with white space), each with the number of its first; without comments."""
    number = 0
    parts: list[str] = []
    for at, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if line[0] in " \t" and parts:
            parts.append(bare)
            continue
        if parts:
            yield number, " ".join(parts)
        number, parts = at, [bare]
    if parts:
        yield number, " ".join(parts)


def _name(logical: str) -> tuple[str, str]:
    match = _NAME.match(logical)
    if match is None:
        raise AliasFault(f"{logical[:40]!r} isn't name: targets")
    name = (_unquoted(match[1]) if match[1] is not None else match[2]).lower()
    if "@" in name or not name:
        raise AliasFault(f"{name!r} has a domain; an alias is the name of somebody on this machine")
    return name, logical[match.end() :]


class _Reading:
    """One entry while it is read."""

    def __init__(self, include: Include, is_local: Callable[[str], bool]) -> None:
        self._include = include
        self._is_local = is_local
        self._files: set[str] = set()
        self._targets: dict[str, None] = {}
        self._discards = self._own = False

    def alias(self, name: str, line: int, rest: str) -> Alias:
        """The entry of a name.

        :raises AliasFault: it can't be used.
        """
        for item in _items(rest):
            self._take(name, item)
        if not self._targets and not self._discards and not self._own:
            raise AliasFault(f"{name} has no target")
        return Alias(line, tuple(self._targets), self._discards, self._own)

    def _take(self, name: str, item: str) -> None:
        quoted = _WHOLE_QUOTED.fullmatch(item)
        bare = _unquoted(quoted[1]).strip() if quoted else item
        kind, target = TargetKind.of(bare)
        if kind is TargetKind.INCLUDE:
            self._take_file(name, target)
        elif kind is TargetKind.NULL:
            self._discards = True
        elif kind is TargetKind.COMMAND:
            raise AliasFault(f"{name} has a command ({bare[:40]}): programs aren't run")
        elif kind is TargetKind.FILE:
            raise AliasFault(f"{name} has a file ({bare[:40]}): mail isn't written into files")
        elif kind is TargetKind.DIRECTIVE:
            raise AliasFault(f"{name} has {bare[:40]!r}, which isn't :include:/file")
        elif kind is TargetKind.FINAL:
            self._add(name, target, final=True)
        else:
            self._add(name, item)
        if len(self._targets) > MOST_TARGETS:
            raise AliasFault(f"{name} has more than {MOST_TARGETS} targets")

    def _add(self, name: str, item: str, final: bool = False) -> None:
        try:
            (found,) = mailboxes(item, lambda _: True)
            address = found.address
            check_forward_path(address if "@" in address else f"{address}@x")
        except (AddressListError, PathError, ValueError) as error:
            raise AliasFault(f"{name} has {item[:40]!r}, which isn't one address ({error})") from None
        if "@" in address and not self._is_local(domain_of(address)):
            self._targets.setdefault(address)
            return
        key = plain_name(address)
        if key == name or final:
            self._own = True
        else:
            self._targets.setdefault(address if "@" in address else key)

    def _take_file(self, name: str, path: str) -> None:
        if path in self._files:
            return  # it includes itself
        self._files.add(path)
        if len(self._files) > MOST_FILES:
            raise AliasFault(f"{name} includes more than {MOST_FILES} files")
        try:
            text = self._include(path)
        except (OSError, ValueError) as error:
            raise AliasFault(f"{name} includes {path}: {getattr(error, 'strerror', None) or error}") from None
        for line in text.split("\n"):
            bare = line.strip()
            if bare and not bare.startswith("#"):
                for item in _items(bare):
                    self._take(name, item)


def plain_name(address: str) -> str:
    """The local part as a name of this machine: without quotes, in lower case."""
    local = local_part(address)
    quoted = _WHOLE_QUOTED.fullmatch(local)
    return (_unquoted(quoted[1]) if quoted else local).lower()


def _items(text: str) -> list[str]:
    """What stands between commas, with its quotes."""
    found, end = [], 0
    for match in _ITEM.finditer(text):
        if text[end : match.start()].strip(" \t,"):
            break
        end = match.end()
        if match[0].strip():
            found.append(match[0].strip())
    if text[end:].strip(" \t,"):
        raise AliasFault(f"{text[end : end + 40].strip()!r} can't be read")
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _circular(entries: dict[str, Alias], is_local: Callable[[str], bool]) -> list[str]:
    """Names from which no way leads out of the file."""
    users: dict[str, list[str]] = {}
    reached = []
    for name, alias in entries.items():
        names = [plain_name(t) if "@" not in t or is_local(domain_of(t)) else "" for t in alias.targets]
        if alias.discards or alias.own or any(each not in entries for each in names):
            reached.append(name)
        for each in names:
            users.setdefault(each, []).append(name)
    good = set(reached)
    while reached:
        for user in users.get(reached.pop(), ()):
            if user not in good:
                good.add(user)
                reached.append(user)
    return [name for name in entries if name not in good]
