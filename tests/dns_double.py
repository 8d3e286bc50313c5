"""A resolver made of zone-like text, with names that fail and names that are secure, for tests.

::

    resolver = FakeResolver(
        '''
        one.test        MX     10 mx.one.test
        mx.one.test     60 A   192.0.2.1
        alias.test      CNAME  mx.one.test
        empty.test                              ; exists, holds nothing
        ''',
        secure=["one.test"],
    )
    resolver.fail("mx.one.test", "TLSA", FailureKind.SERVFAIL)
"""

from __future__ import annotations

from collections.abc import Iterable

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from twisted.internet.defer import Deferred
from zope.interface import implementer

from seg.dns.answer import AnswerStatus, DNSAnswer, DNSFailure, FailureKind
from seg.dns.interfaces import IResolver
from seg.mail.errors import LocalFault

ANY = "*"
Question = tuple[str, str]


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


@implementer(IResolver)
class FakeResolver:
    """Answers from maps and keeps every question in `questions`, in the order asked.

    :param zone: records, one a line: ``name [ttl] type data``; all names are absolute, with or without the
        last dot. A name
        alone on its line exists without records. A line may end with a comment, `` ; like this``, if it holds
        no quotes.
    :param secure: names (and all below them) whose answers are authenticated.
    :param insecure: names (and all below them) whose answers aren't, though a shorter name of `secure` covers
        them.
    :param everything_secure: whether names that neither covers are secure.
    """

    def __init__(
        self,
        zone: str = "",
        *,
        secure: Iterable[str] = (),
        insecure: Iterable[str] = (),
        everything_secure: bool = False,
    ) -> None:
        self.questions: list[Question] = []
        self.substitute = False  # answers come from a stand-in of the trusted resolvers: none is secure
        self._records: dict[Question, list[dns.rdata.Rdata]] = {}
        self._ttls: dict[Question, float] = {}
        self._names: set[str] = set()
        self._failures: dict[Question, FailureKind | LocalFault] = {}
        self._held: dict[Question, list[Deferred[None]]] = {}
        self._security: dict[Question, bool] = {("", ANY): everything_secure}
        self.add(zone)
        for name in secure:
            self.set_secure(name)
        for name in insecure:
            self.set_secure(name, secure=False)

    # --- contents -------------------------------------------------------------------------------------------

    def add(self, zone: str) -> None:
        """Add records (see the class)."""
        for line in zone.splitlines():
            text = line if '"' in line else line.partition(" ;")[0]
            name, _, rest = text.strip().partition(" ")
            if not name or name.startswith(";"):
                continue
            name = _plain(name)
            self._names.add(name)
            first, _, data = rest.strip().partition(" ")
            ttl = 300.0
            if first.isdigit():
                ttl = float(first)
                first, _, data = data.strip().partition(" ")
            if not first:
                continue
            rdtype = first.upper()
            rdata = dns.rdata.from_text(
                dns.rdataclass.IN,
                dns.rdatatype.from_text(rdtype),
                data.strip(),
                origin=dns.name.root,
                relativize=False,
            )
            self._records.setdefault((name, rdtype), []).append(rdata)
            self._ttls[name, rdtype] = ttl

    def remove(self, name: str, rdtype: str) -> None:
        """Take the records of one type away; the name goes on to exist."""
        self._records.pop((_plain(name), rdtype), None)

    def fail(self, name: str, rdtype: str, kind: FailureKind | LocalFault = FailureKind.SERVFAIL) -> None:
        """Fail this question until `mend`, by our own fault if it is one; type ``*`` is all types."""
        self._failures[_plain(name), rdtype] = kind

    def mend(self, name: str, rdtype: str) -> None:
        """Answer this question again."""
        self._failures.pop((_plain(name), rdtype), None)

    def set_secure(self, name: str, rdtype: str = ANY, *, secure: bool = True) -> None:
        """Answers for this name and all below it (or for one type at just this name) are secure, or not."""
        self._security[_plain(name), rdtype] = secure

    # --- when to answer -------------------------------------------------------------------------------------

    def hold(self, name: str, rdtype: str) -> None:
        """Leave this question unanswered until `release`."""
        self._held.setdefault((_plain(name), rdtype), [])

    def release(self, name: str, rdtype: str) -> None:
        """Answer those who wait, and whoever asks from now on."""
        for waiter in self._held.pop((_plain(name), rdtype), ()):
            if not waiter.called:
                waiter.callback(None)

    # --- asking ---------------------------------------------------------------------------------------------

    def count(self, name: str, rdtype: str) -> int:
        """How often this was asked."""
        return self.questions.count((_plain(name), rdtype))

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        """Answer as a recursive resolver would: CNAMEs are followed, denials are answers."""
        name = _plain(name)
        self.questions.append((name, rdtype))
        if (name, rdtype) in self._held:
            waiter: Deferred[None] = Deferred()
            self._held[name, rdtype].append(waiter)
            await waiter
        kind = self._failures.get((name, rdtype)) or self._failures.get((name, ANY))
        if isinstance(kind, LocalFault):
            raise kind
        if kind is not None:
            raise DNSFailure(name, rdtype, kind)
        return self._look_up(name, rdtype)

    def _look_up(self, name: str, rdtype: str) -> DNSAnswer:
        owner, secure, ttl = name, True, float("inf")
        for _ in range(10):
            secure = secure and self._is_secure(owner, rdtype)
            found = (owner, rdtype) if (owner, rdtype) in self._records else (owner, "CNAME")
            records = tuple(self._records.get(found, ()))
            ttl = min(ttl, self._ttls.get(found, 300.0))
            secure = secure and not self.substitute
            if found[1] == rdtype and records:
                return DNSAnswer(
                    name, rdtype, AnswerStatus.FOUND, records, secure, owner, ttl, substitute=self.substitute
                )
            if not records:
                status = AnswerStatus.NO_DATA if self._exists(owner) else AnswerStatus.NO_NAME
                return DNSAnswer(name, rdtype, status, (), secure, owner, ttl, substitute=self.substitute)
            owner = _plain(records[0].target.to_text())
        raise DNSFailure(name, rdtype, FailureKind.SERVFAIL, "CNAME loop")

    def _exists(self, name: str) -> bool:
        """Whether there is anything at or below a name (RFC 8020)."""
        return name == "" or any(n == name or n.endswith("." + name) for n in self._names)

    def _is_secure(self, name: str, rdtype: str) -> bool:
        exact = self._security.get((name, rdtype))
        while exact is None:
            exact = self._security.get((name, ANY))
            name = name.partition(".")[2]
        return exact
