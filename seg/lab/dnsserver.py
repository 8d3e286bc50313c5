"""A DNS server that answers like a validating resolver: zones as data, and failures on demand."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, cast

import attrs
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from twisted.internet import error
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTCP, IReactorTime, IReactorUDP
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.protocols.basic import Int16StringReceiver

from seg.lab.listening import Listening

MAX_ALIASES = 8

# Data of a DNSKEY record for the root: nobody here checks signatures, the record only has to be there.
ROOT_KEY = "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="


class AnswerFailure(enum.Enum):
    """What a question gets instead of its answer."""

    SERVFAIL = "servfail"
    REFUSED = "refused"
    NOTIMP = "notimp"
    BOGUS = "bogus"  # SERVFAIL with extended error 6, "DNSSEC Bogus" (RFC 8914 §4.7)
    DROP = "drop"  # no answer at all
    TRUNCATE = "truncate"  # over UDP only: the client has to come back over TCP (RFC 2181 §9)
    GARBAGE = "garbage"  # octets that aren't a DNS message


@attrs.frozen
class AskedQuestion:
    """A question that arrived."""

    name: str  # lower case, no trailing dot; "" is the root
    rdtype: str
    tcp: bool


Key = tuple[dns.name.Name, dns.rdatatype.RdataType]


def _key(name: str, rdtype: str) -> Key:
    return dns.name.from_text(name or "."), dns.rdatatype.from_text(rdtype)


class NameServer:
    """Zones and what is wrong with them. `start` opens one port, UDP and TCP; all may change meanwhile.

    `validating` False is a resolver that doesn't validate: AD is never set, not even for the root.
    """

    def __init__(self, reactor: IReactorUDP) -> None:
        self._reactor = reactor
        self._records: dict[Key, dns.rrset.RRset] = {}
        self._zones: dict[dns.name.Name, bool] = {dns.name.root: False}
        self._failures: dict[Key, AnswerFailure] = {}
        self._delays: dict[Key, float] = {}
        self._udp: IListeningPort | None = None
        self._tcp: Listening | None = None
        self.validating = True
        self.asked: list[AskedQuestion] = []
        self.address = ""
        self.port = 0
        self.add("", "DNSKEY", ROOT_KEY)

    # --- contents ---

    def zone(self, origin: str, *, secure: bool) -> None:
        """Everything at and below `origin` is signed, or isn't; the longest origin counts."""
        self._zones[dns.name.from_text(origin or ".")] = secure

    def add(self, name: str, rdtype: str, *records: str, ttl: int = 300) -> None:
        """Add records in presentation form: ``add("a.example", "MX", "10 mx.a.example.")``."""
        owner, kind = _key(name, rdtype)
        new = dns.rrset.from_text(owner, ttl, dns.rdataclass.IN, kind, *records)
        old = self._records.setdefault((owner, kind), new)
        if old is not new:
            old.update(new)

    def remove(self, name: str, rdtype: str | None = None) -> None:
        """Take away the records of one type, or all of a name."""
        owner = dns.name.from_text(name or ".")
        wanted = None if rdtype is None else dns.rdatatype.from_text(rdtype)
        for key in [k for k in self._records if k[0] == owner and wanted in (None, k[1])]:
            del self._records[key]

    def replace(self, name: str, rdtype: str, *records: str, ttl: int = 300) -> None:
        """What is there from now on, instead of what was."""
        self.remove(name, rdtype)
        self.add(name, rdtype, *records, ttl=ttl)

    def load(self, text: str, *, ttl: int = 300) -> None:
        """Add zone text, one record a line: ``name type data``. Empty lines and ``;`` lines don't count."""
        for line in text.splitlines():
            words = line.split(None, 2)
            if words and not words[0].startswith(";"):
                name, rdtype, data = words
                self.add(name.rstrip("."), rdtype, data, ttl=ttl)

    def fail(self, name: str, rdtype: str, failure: AnswerFailure) -> None:
        """Answer this question with a failure until `mend`."""
        self._failures[_key(name, rdtype)] = failure

    def delay(self, name: str, rdtype: str, seconds: float) -> None:
        """Answer this question late."""
        self._delays[_key(name, rdtype)] = seconds

    def mend(self, name: str, rdtype: str) -> None:
        """No failure and no delay any more."""
        self._failures.pop(_key(name, rdtype), None)
        self._delays.pop(_key(name, rdtype), None)

    def count(self, name: str, rdtype: str) -> int:
        """How often this was asked."""
        wanted = (name.rstrip(".").lower(), rdtype.upper())
        return sum((q.name, q.rdtype) == wanted for q in self.asked)

    def addresses(self, name: str) -> tuple[str, ...]:
        """The A records of a name as text, for whoever resolves inside the lab (the proxy)."""
        found = self._records.get(_key(name, "A"))
        return tuple(r.to_text() for r in found) if found is not None else ()

    # --- running ---

    def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on UDP and TCP. With port 0 one that is free for both is found.

        :raises twisted.internet.error.CannotListenError: the port is taken.
        """
        for last in (False, False, False, True):
            udp = self._reactor.listenUDP(port, _UDP(self), address, 8192)
            chosen: int = cast(Any, udp.getHost()).port
            try:
                self._tcp = Listening(IReactorTCP(self._reactor), _TCPFactory(self), address, chosen)
            except error.CannotListenError:
                udp.stopListening()
                if port or last:
                    raise
                continue
            self._udp = udp
            self.address, self.port = address, chosen
            return

    async def stop(self) -> None:
        """Close the ports."""
        udp, self._udp = self._udp, None
        done = udp.stopListening() if udp is not None else None
        if done is not None:
            await done
        if self._tcp is not None:
            await self._tcp.close()

    # --- answering ---

    def receive(self, wire: bytes, send: Callable[[bytes], None], *, tcp: bool) -> None:
        """One message as received; `send` gets the answer, now, later or never."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return
        if query.flags & dns.flags.QR or query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            return
        question = query.question[0]
        key = (question.name.canonicalize(), question.rdtype)
        name = key[0].to_text(omit_final_dot=True).removesuffix(".")
        self.asked.append(AskedQuestion(name, dns.rdatatype.to_text(key[1]), tcp))
        failure = self._failures.get(key)
        if failure is AnswerFailure.DROP:
            return
        answer = wire[:2] + b"\xff" * 9 if failure is AnswerFailure.GARBAGE else self._answer(query, key, failure, tcp)
        seconds = self._delays.get(key, 0.0)
        if seconds:
            IReactorTime(self._reactor).callLater(seconds, send, answer)
        else:
            send(answer)

    def _answer(self, query: dns.message.Message, key: Key, failure: AnswerFailure | None, tcp: bool) -> bytes:
        response = dns.message.make_response(query, recursion_available=True)
        if failure in (AnswerFailure.SERVFAIL, AnswerFailure.BOGUS, AnswerFailure.REFUSED, AnswerFailure.NOTIMP):
            refusals = {AnswerFailure.REFUSED: dns.rcode.REFUSED, AnswerFailure.NOTIMP: dns.rcode.NOTIMP}
            response.set_rcode(refusals.get(failure, dns.rcode.SERVFAIL))
            if failure is AnswerFailure.BOGUS and query.edns >= 0:
                bogus = dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "signature check failed")
                response.use_edns(0, options=[bogus])
        elif failure is AnswerFailure.TRUNCATE and not tcp:
            response.flags |= dns.flags.TC
        else:
            secure = self._fill(response, key)
            # RFC 6840 §5.7 and §5.8: AD is for who asks for it, by the AD or the DO bit.
            wanted = query.flags & dns.flags.AD or query.ednsflags & dns.flags.DO
            if secure and wanted and self.validating:
                response.flags |= dns.flags.AD
        room = 65535 if tcp else max(512, query.payload if query.edns >= 0 else 512)
        try:
            return response.to_wire(max_size=room)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _fill(self, response: dns.message.Message, key: Key) -> bool:
        """Put the records, or the denial, into the response; say whether all of it is from signed zones."""
        owner, rdtype = key
        secure = True
        for _ in range(MAX_ALIASES):
            secure = secure and self._is_secure(owner, rdtype)
            found = self._records.get((owner, rdtype))
            if found is not None:
                response.answer.append(found)
                return secure
            alias = self._records.get((owner, dns.rdatatype.CNAME))
            if alias is None:
                break
            response.answer.append(alias)
            owner = alias[0].target.canonicalize()
        if not self._exists(owner):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(self._start_of_authority(owner))
        return secure

    def _zone_of(self, name: dns.name.Name) -> dns.name.Name:
        return max((zone for zone in self._zones if name.is_subdomain(zone)), key=len)

    def _is_secure(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> bool:
        return self._zones[self._zone_of(name)] or (name == dns.name.root and rdtype == dns.rdatatype.DNSKEY)

    def _exists(self, name: dns.name.Name) -> bool:
        """Whether there is anything at or below a name (RFC 8020); the apex of a zone always exists."""
        return name in self._zones or any(owner.is_subdomain(name) for owner, _ in self._records)

    def _start_of_authority(self, name: dns.name.Name) -> dns.rrset.RRset:
        zone = self._zone_of(name)
        return dns.rrset.from_text(zone, 60, "IN", "SOA", "ns.invalid. hostmaster.invalid. 1 3600 600 86400 60")


class _UDP(DatagramProtocol):
    noisy = False

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        def send(answer: bytes) -> None:
            # The socket may have been closed while a delayed answer waited.
            if self.transport is not None:
                self.transport.write(answer, addr)

        self._server.receive(datagram, send, tcp=False)


class _TCP(Int16StringReceiver):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def stringReceived(self, string: bytes) -> None:
        self._server.receive(string, self.sendString, tcp=True)


class _TCPFactory(Factory):
    noisy = False

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> _TCP:
        return _TCP(self._server)
