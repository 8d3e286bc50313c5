"""The admin API as HTTP: JSON in and out, every error with a word on what to do next."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from seg.admin.turns import encoded
from seg.admin.wire.route import MAX_BODY, APIRoute, RawResponse

AT_ONCE = 262_144  # octets of an answer that are written before the reactor gets its turn

Parameters = Mapping[str, str]
Q = TypeVar("Q")
A = TypeVar("A")
Handler = Callable[
    [Q, str], Awaitable[A]
]  # what is asked, and by whom: the user at the other end of the socket, or the token


class APIError(Exception):
    """A request that can't be served: HTTP status, what is wrong, and what to do.

    :param details: more of it, for programs.
    :param headers: header fields of the answer.
    """

    def __init__(
        self,
        status: int,
        text: str,
        details: Mapping[str, object] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.details = details or {}
        self.headers = headers or {}


class RouteTable:
    """Who answers which operation; ``{mid}`` in a path stands for a number."""

    def __init__(self) -> None:
        self._served: list[tuple[re.Pattern[str], ServedRoute]] = []

    def add(self, route: APIRoute[Q, A], handler: Handler[Q, A]) -> None:
        """Serve an operation."""
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[0-9]{1,18})", route.path)
        self._served.append((re.compile(expression + r"\Z"), ServedRoute(route, handler)))

    @property
    def routes(self) -> list[APIRoute[Any, Any]]:
        """All that is served."""
        return [served.route for _, served in self._served]

    @property
    def largest(self) -> int:
        """Octets of the largest body that some request may have."""
        return max((route.max_body for route in self.routes), default=MAX_BODY)

    def find(self, method: str, path: str) -> tuple[ServedRoute, Parameters]:
        """The operation of a request and its path parameters.

        :raises APIError: 404 for an unknown path, 405 for a known one with another method.
        """
        known = False
        for pattern, served in self._served:
            match = pattern.match(path)
            if match and served.route.method == method:
                return served, match.groupdict()
            known = known or match is not None
        if known:
            raise APIError(405, f"{method} isn't possible on {path}")
        raise APIError(404, f"there is no {path}")


@attrs.frozen
class ServedRoute:
    """An operation and who answers it."""

    route: APIRoute[Any, Any]
    handler: Handler[Any, Any]

    async def answer(self, parameters: Parameters, body: Mapping[str, Any], by: str) -> object:
        """What is answered.

        :param parameters: those of the path and of the query.
        :param by: who asks.
        :raises APIError: it is refused.
        """
        try:
            asked = self.route.asked(parameters, body)
        except ValueError as error:
            raise APIError(400, str(error)) from None
        return await self.handler(asked, by)


class APIResource(Resource):
    """Serves a `RouteTable`. Nothing that a client sends harms another, or the gateway.

    :param admit: says who makes a request, or refuses it (APIError) before it is looked at.
    """

    isLeaf = True
    log = Logger()

    def __init__(self, routes: RouteTable, admit: Callable[[Request], Awaitable[str]]) -> None:
        super().__init__()
        self._routes = routes
        self._admit = admit

    def render(self, request: Request) -> int:
        """Answer one request."""
        answer = Deferred.fromCoroutine(self._answer(request))
        gone = request.notifyFinish()
        gone.addErrback(lambda _: answer.cancel())
        answer.addErrback(self._broken, request)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        headers: Mapping[str, str] = {}
        try:
            by = await self._admit(request)
            served, path = self._routes.find(request.method.decode("latin-1"), _path(request))
            body = _body(request, served.route.max_body)
            result = await served.answer({**_query(request), **path}, body, by)
            status = 200
        except APIError as error:
            result, status, headers = {"error": error.text, **error.details}, error.status, error.headers
        for name, value in headers.items():
            request.setHeader(name.encode("ascii"), value.encode("ascii"))
        _send(request, status, result if isinstance(result, RawResponse) else await encoded(result))

    def _broken(self, failure: Failure, request: Request) -> None:
        if getattr(request, "_disconnected", False):
            return
        self.log.failure("request {path!r} broke", failure, path=request.path)
        short = failure.check(MemoryError) is not None
        text = json.dumps({"error": "out of memory" if short else f"internal error: {failure.getErrorMessage()}"})
        _send(request, 503 if short else 500, [text.encode()])


def _path(request: Request) -> str:
    return request.path.decode("latin-1")


def _query(request: Request) -> Parameters:
    return {
        name.decode("utf-8", "replace"): values[-1].decode("utf-8", "replace") for name, values in request.args.items()
    }


def _body(request: Request, most: int) -> Mapping[str, Any]:
    """The JSON object sent, or an empty one.

    :raises APIError: 400 or 413.
    """
    raw = request.content.read(most + 1) if request.content else b""
    if not raw:
        return {}
    if len(raw) > most:
        raise APIError(413, f"the body is larger than {most} octets")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise APIError(400, f"the body isn't JSON: {error}") from None
    if not isinstance(value, dict):
        raise APIError(400, "the body must be a JSON object")
    return value


def _send(request: Request, status: int, result: RawResponse | list[bytes]) -> None:
    request.setResponseCode(status)
    if isinstance(result, RawResponse):
        request.setHeader(b"content-type", result.content_type.encode("ascii"))
        request.write(result.data)
    else:
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"content-length", str(sum(map(len, result)) + 1).encode())
        if sum(map(len, result)) > AT_ONCE:
            request.registerProducer(_LongAnswer(request, result), False)
            return
        request.write(b"".join(result) + b"\n")
    request.finish()


@implementer(IPullProducer)
class _LongAnswer:
    """Written as fast as it is read: in the transport it would be copied as a whole, again and again."""

    def __init__(self, request: Request, pieces: list[bytes]) -> None:
        self._request = request
        self._pieces = deque([*pieces, b"\n"])

    def resumeProducing(self) -> None:
        """Some of it."""
        part: list[bytes] = []
        size = 0
        while self._pieces and size < AT_ONCE:
            size += len(self._pieces[0])
            part.append(self._pieces.popleft())
        self._request.write(b"".join(part))
        if not self._pieces:
            self._request.unregisterProducer()
            self._request.finish()

    def stopProducing(self) -> None:
        """Nobody reads it any more."""
        self._pieces.clear()
