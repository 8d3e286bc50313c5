"""The request for a policy, and what counts as an answer to it (RFC 8461 §3.3).

No redirect is followed, nothing compressed is accepted, no cookie or cached copy is used.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from seg.mail.errors import LocalFault, local_fault
from seg.policy.mtasts.connect import PolicyHostEndpoint
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.policy.mtasts.policy import MAX_SIZE, MEDIA_TYPE, is_text_plain
from seg.policy.mtasts.verified import FetchProgress
from seg.tls.names import printable

_LOST = (ConnectionClosed, ConnectError, PotentialDataLoss)

USER_AGENT = "seg (MTA-STS policy fetch, RFC 8461)"


@implementer(IAgentEndpointFactory)
class _OneEndpoint:
    """Gives an `Agent` the endpoint made for this fetch, whatever URI it has."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint."""
        return self._endpoint


@implementer(IAgent)
class _PlainAgent:
    """Keeps treq from asking for gzip and from unpacking it: a few octets could become any number."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent
        self.encoding = ""  # Content-Encoding of the answer

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """Send the request without the wish for an encoding."""
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders("Accept-Encoding", ["identity"])
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(self._answered)

    def _answered(self, response: IResponse) -> IResponse:
        self.encoding = ", ".join(_field(response, b"content-encoding"))
        response.headers.removeHeader("content-encoding")
        return response


class PolicyBody(Protocol):
    """Collects a body up to the limit.

    :param cut: whether the connection ended without TLS saying so.
    """

    def __init__(self, cut: Callable[[], bool]) -> None:
        self._cut = cut
        self._pieces: list[bytes] = []
        self._size = 0
        self.complete: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Keep, unless it is too much: then nobody waits for the rest."""
        self._size += len(data)
        if self._size <= MAX_SIZE:
            self._pieces.append(data)
        elif not self.complete.called:
            self.complete.errback(_too_large())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body, or of the connection."""
        if self.complete.called:
            return
        # Without a length in the header the body ends with the connection. If TLS wasn't ended in order,
        # somebody may have cut it short.
        if reason.check(ResponseDone) or (reason.check(PotentialDataLoss) and not self._cut()):
            self.complete.callback(b"".join(self._pieces))
        else:
            self.complete.errback(explain(reason.value))


async def get_policy(reactor: Any, endpoint: PolicyHostEndpoint, url: str, progress: FetchProgress) -> bytes:
    """The body of the answer to GET `url`.

    :raises FetchError: status, media type, size, or whatever stopped it before.
    """
    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = _PlainAgent(Agent.usingEndpointFactory(reactor, _OneEndpoint(endpoint), pool))
    client = HTTPClient(agent)  # a new one each time: its cookies go with it
    headers = Headers({"User-Agent": [USER_AGENT], "Accept": [MEDIA_TYPE]})
    try:
        response = await client.get(url, headers=headers, allow_redirects=False, unbuffered=True, reactor=reactor)
        _check(response, agent.encoding)
        progress.doing = "reading the policy"
        body = PolicyBody(lambda: endpoint.cut)
        response.deliverBody(body)
        return await body.complete
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  the peer decides what goes wrong
        raise explain(error) from None


def _field(response: Any, name: bytes) -> list[str]:
    """The values of a header field; they may hold any octets."""
    return [value.decode("latin-1") for value in response.headers.getRawHeaders(name, [])]


def _check(response: Any, encoding: str) -> None:
    """Whether the header of an answer is that of a policy."""
    code, phrase = response.code, response.phrase.decode("latin-1")
    if 300 <= code < 400:
        target = printable(", ".join(_field(response, b"location")) or "(nowhere)", 200)
        text = f"redirect ({code}) to {target}: policies must not be redirected"
        raise FetchError(FetchFault.REDIRECT, text)
    if code != 200:
        raise FetchError(FetchFault.HTTP_STATUS, printable(f"HTTP status {code} {phrase}".rstrip(), 100), status=code)
    media_types = _field(response, b"content-type")
    if len(media_types) != 1 or not is_text_plain(media_types[0]):
        shown = printable(", ".join(media_types), 100) or "(none)"
        raise FetchError(FetchFault.MEDIA_TYPE, f"media type {shown} instead of {MEDIA_TYPE}")
    if encoding.lower() not in ("", "identity"):
        text = f"content encoding {printable(encoding, 100)} though none was asked for"
        raise FetchError(FetchFault.MEDIA_TYPE, text)
    if isinstance(response.length, int) and response.length > MAX_SIZE:
        raise _too_large()


def _too_large() -> FetchError:
    return FetchError(FetchFault.TOO_LARGE, f"policy of more than {MAX_SIZE} octets")


def explain(error: BaseException | None) -> Exception:
    """The `FetchError` for whatever an answer makes an HTTP client raise; a cancellation, and what is no answer's doing, stay what they are."""
    reasons = [getattr(reason, "value", reason) for reason in getattr(error, "reasons", ())]
    found = [reason for reason in (error, *reasons) if isinstance(reason, Exception)]
    for reason in found:
        if isinstance(reason, FetchError | CancelledError | LocalFault):
            return reason
    if any(isinstance(reason, _LOST) for reason in found):
        return FetchError(FetchFault.CONNECT, "the connection was lost before the answer was complete")
    ours = next((reason for reason in found if local_fault(reason) or not _about_http(reason)), None)
    return ours or FetchError(FetchFault.HTTP_STATUS, "the answer is not valid HTTP")


def _about_http(error: Exception) -> bool:
    """Whether the parser says this of an answer: one of its own errors (some aren't public), a number that is none, or what it stumbles over."""
    if isinstance(error, ValueError | SSL.Error) or type(error).__module__.startswith("twisted.web."):
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and str(frames[-1][0].f_globals.get("__name__")).startswith("twisted.web.")
