"""What the resolver promises."""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Interface

from seg.dns.answer import DNSAnswer


class IResolver(Interface):
    """DNS questions, answered from a cache or by the operator's resolvers."""

    def query(name: str, rdtype: str) -> Awaitable[DNSAnswer]:
        """Ask. NODATA and NXDOMAIN are answers, not errors.

        :raises seg.dns.answer.DNSFailure: SERVFAIL, time-out, REFUSED, NOTIMP, bogus, malformed: nothing is known.
        :raises seg.mail.errors.LocalFault: the question could not be put, for a reason of our own (descriptors, memory, no free turn, a trusted
            resolver that is away, an error in the program). It is no answer and no failure of the domain: it is never kept, nothing
            may be concluded from it, and mail is deferred rather than sent with less protection.
        """
