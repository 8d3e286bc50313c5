"""An HTTPS server for the MTA-STS policies of many domains (RFC 8461 §3.3); it misbehaves as told."""

from __future__ import annotations

import enum
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from seg.lab.behaviour import Certificate
from seg.lab.contexts import NamedContexts, server_context
from seg.lab.listening import Listening
from seg.lab.pki import Authority
from seg.lab.receiver import credential_for

PATH = "/.well-known/mta-sts.txt"
DRIP = 0.2  # seconds between two octets of a slow answer


class Answer(enum.Enum):
    """How the policy is served."""

    GOOD = "good"
    NOT_FOUND = "404"
    SERVER_ERROR = "500"
    REDIRECT = "301"  # to a place where the policy is; mustn't be followed (RFC 8461 §3.3)
    WRONG_MEDIA_TYPE = "text/html"
    TOO_LARGE = "too large"  # a good policy in front of a megabyte of comment
    SLOW = "slow"  # an octet each `DRIP` seconds
    HANGS = "hangs"  # takes the request and says nothing
    CLOSES = "closes"  # takes the request and closes


@attrs.frozen
class Published:
    """What is served for one domain."""

    text: bytes
    answer: Answer = Answer.GOOD
    certificate: Certificate = Certificate.GOOD
    media_type: str = "text/plain"


@attrs.frozen
class Fetched:
    """One request that arrived."""

    domain: str
    path: str
    host: str  # Host field
    headers: tuple[tuple[str, str], ...]
    client: str


class PolicyHost:
    """Serves ``mta-sts.<domain>`` for every domain published; the certificate goes by server name."""

    def __init__(self, reactor: IReactorTCP, authority: Authority) -> None:
        self.reactor = reactor
        self._authority = authority
        self._published: dict[str, Published] = {}
        self._contexts: dict[tuple[str, Certificate], SSL.Context] = {}
        self._listening: Listening | None = None
        self._factory: Any = None
        self.requests: list[Fetched] = []
        self.address = ""
        self.port = 0

    def publish(
        self,
        domain: str,
        text: str | bytes,
        *,
        answer: Answer = Answer.GOOD,
        certificate: Certificate = Certificate.GOOD,
        media_type: str = "text/plain",
    ) -> None:
        """Serve this from now on."""
        body = text.encode() if isinstance(text, str) else text
        self._published[domain.lower()] = Published(body, answer, certificate, media_type)

    def withdraw(self, domain: str) -> None:
        """Answer 404 from now on."""
        self._published.pop(domain.lower(), None)

    def published(self, domain: str) -> Published | None:
        """What is served for a domain."""
        return self._published.get(domain)

    def count(self, domain: str) -> int:
        """How many requests came for a domain."""
        return sum(request.domain == domain for request in self.requests)

    def start(self, address: str, port: int = 0) -> None:
        """Listen.

        :raises twisted.internet.error.CannotListenError: the address or port can't be had.
        """
        site = Site(_Policies(self))
        site.noisy = False
        self._factory = factory = TLSMemoryBIOFactory(NamedContexts(self._context(""), self._context), False, site)
        factory.noisy = False
        self._listening = Listening(self.reactor, factory, address, port)
        self.address, self.port = address, self._listening.port

    async def stop(self) -> None:
        """Close the port and whatever is open."""
        if self._listening is not None:
            await self._listening.close()
            for connection in tuple(self._factory.protocols):
                connection.abortConnection()

    def _context(self, name: str) -> SSL.Context:
        published = self._published.get(name.removeprefix("mta-sts."))
        kind = published.certificate if published is not None else Certificate.GOOD
        if (name, kind) not in self._contexts:
            credential = credential_for(self._authority, (name or "mta-sts.invalid",), kind)
            self._contexts[name, kind] = server_context(credential)
        return self._contexts[name, kind]


class _Policies(Resource):
    isLeaf = True

    def __init__(self, host: PolicyHost) -> None:
        super().__init__()
        self._host = host

    def render_GET(self, request: Request) -> bytes | int:
        """Answer as published for the Host field's domain."""
        name = (request.getHeader("host") or "").partition(":")[0].lower()
        domain = name.removeprefix("mta-sts.")
        path = request.path.decode("latin-1")
        headers = tuple(
            (key.decode("latin-1"), value.decode("latin-1"))
            for key, values in request.requestHeaders.getAllRawHeaders()
            for value in values
        )
        self._host.requests.append(Fetched(domain, path, name, headers, request.getClientAddress().host))
        published = self._host.published(domain)
        if published is None or path != PATH:
            request.setResponseCode(404)
            return b"no policy here\n"
        return self._answer(request, published)

    def _answer(self, request: Request, published: Published) -> bytes | int:
        request.setHeader("content-type", published.media_type)
        answer = published.answer
        if answer in (Answer.NOT_FOUND, Answer.SERVER_ERROR):
            request.setResponseCode(int(answer.value))
        elif answer is Answer.REDIRECT:
            request.setResponseCode(301)
            request.setHeader("location", PATH + "?again")
        elif answer is Answer.WRONG_MEDIA_TYPE:
            request.setHeader("content-type", "text/html")
        elif answer is Answer.TOO_LARGE:
            return published.text + b"x-comment: " + b"x" * 1_000_000 + b"\r\n"
        elif answer is Answer.SLOW:
            _Drip(IReactorTime(self._host.reactor), request, published.text)
            return NOT_DONE_YET
        elif answer is Answer.HANGS:
            return NOT_DONE_YET
        elif answer is Answer.CLOSES:
            request.channel.forceAbortClient()
            return NOT_DONE_YET
        return published.text


class _Drip:
    """Writes a body octet by octet for as long as the client stays."""

    def __init__(self, clock: IReactorTime, request: HTTPRequest, body: bytes) -> None:
        self._clock, self._request, self._rest = clock, request, body
        request.setHeader("content-length", str(len(body)))
        self._call = clock.callLater(DRIP, self._next)
        request.notifyFinish().addBoth(self._gone)

    def _next(self) -> None:
        self._request.write(self._rest[:1])
        self._rest = self._rest[1:]
        if self._rest:
            self._call = self._clock.callLater(DRIP, self._next)
        else:
            self._request.finish()

    def _gone(self, _: object) -> None:
        if self._call.active():
            self._call.cancel()
