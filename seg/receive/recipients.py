"""The recipient access table: for whom mail is accepted from clients that may not relay. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from seg.config.receive import Recipients
from seg.local.table import LocalTable, NoTaker
from seg.mail.address import domain_of, local_part
from seg.smtp.reply import Reply

ALL = "all"


class RecipientAccess:
    """Entries are ``user@domain``, ``user@``, ``domain``, ``.domain`` (all below it) and ``ALL``; the most particular one decides."""

    def __init__(self, table: Recipients) -> None:
        self._accepted = frozenset(map(_entry, table.accept))
        self._rejected = frozenset(map(_entry, table.reject))
        self._reply = Reply.of(550, "5.1.1", table.reject_text)

    def objection(self, address: str) -> Reply | None:
        """The reply to a recipient who isn't accepted; None when it is."""
        for entry in _particular_first(address):
            if entry in self._rejected:
                return self._reply
            if entry in self._accepted:
                return None
        return RELAYING_DENIED


def local_objection(table: LocalTable, address: str) -> Reply | None:
    """The reply to a recipient on this machine whose mail nobody takes; None when somebody does, or when he isn't on this machine."""
    if "@" in address and domain_of(address) not in table.domains:
        return None
    none = table.takers(address).none
    if none is NoTaker.BROKEN:
        return ALIAS_BROKEN
    return NO_SUCH_USER if none and table.strict and not table.elsewhere else None


ALIAS_BROKEN = Reply.of(451, "4.3.5", "The aliases of this host can't be used for this recipient")
NO_SUCH_USER = Reply.of(550, "5.1.1", "No such user here")
RELAYING_DENIED = Reply.of(550, "5.7.1", "Relaying denied")


def _entry(text: str) -> str:
    """An entry as it is looked up."""
    if "@" in text:
        return f"{local_part(text).lower()}@{domain_of(text)}"
    if text.startswith("."):
        return "." + domain_of(f"x@{text[1:]}")
    return ALL if text.lower() == ALL else domain_of(f"x@{text}")


def _particular_first(address: str) -> Iterable[str]:
    domain, local = domain_of(address), local_part(address).lower()
    yield f"{local}@{domain}"
    yield f"{local}@"
    yield domain
    parent = domain
    while "." in parent:
        parent = parent.partition(".")[2]
        yield f".{parent}"
    yield ALL
