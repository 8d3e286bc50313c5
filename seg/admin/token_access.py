"""Who may use the admin API over TCP: whoever has a token (RFC 6750), and has not failed too often."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from contextlib import suppress

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from seg.admin.http import APIError
from seg.admin.roles import Role
from seg.admin.tokens import LONGEST, Token, Tokens
from seg.admin.wire.operations import needed_role
from seg.auth.backoff import WINDOW, Backoff
from seg.auth.reloading_file import ReloadingFile, Unreadable
from seg.common.clock import posix
from seg.events.base import IEventSink
from seg.events.gateway import AdminRefused
from seg.mail.hosts import IPAddress

_BEARER = re.compile(rb"bearer +([\x21-\x7e]{1,%d}) *" % LONGEST, re.IGNORECASE)  # RFC 6750 §2.1, a little wider
_LONGEST_PATH = 200  # characters of it in the log
REALM = 'Bearer realm="seg"'


@attrs.frozen
class Credentials:
    """What somebody who stands at the door shows."""

    address: IPAddress
    method: str
    path: str
    authorization: Sequence[bytes] = attrs.field(repr=False)  # the values of that header field

    @property
    def secret(self) -> bytes | None:
        """The token, None without one (or with several)."""
        found = _BEARER.fullmatch(self.authorization[0]) if len(self.authorization) == 1 else None
        return found[1] if found else None


class TokenAccess:
    """Lets operators in.

    A failure is told in the log and answered the later the more there were. Tokens can't be guessed, so this keeps the log
    and the door from being worn out, and one that was let in takes the failures of its address away.

    :param clock: a reactor, or a `Clock`.
    """

    def __init__(self, tokens: ReloadingFile[Tokens], backoff: Backoff, clock: IReactorTime, sink: IEventSink) -> None:
        self._tokens = tokens
        self._backoff = backoff
        self._clock = clock
        self._sink = sink

    async def prepare(self) -> None:
        """Look at the tokens a first time: what is wrong with their file is told before somebody needs one."""
        with suppress(Unreadable):
            await self._tokens.contents()

    async def admit(self, ask: Credentials) -> str:
        """The operator's name.

        :raises APIError: 401, 403, 429, or 503 as long as the tokens can't be read.
        """
        if self._backoff.locked(ask.address):
            raise APIError(
                429,
                "too many failures from this address; come again in ten minutes",
                headers={"retry-after": f"{WINDOW:.0f}"},
            )
        try:
            tokens = await self._tokens.contents()
        except Unreadable:
            raise APIError(503, "the tokens can't be read; the gateway's mail log says why") from None
        token = tokens.find(ask.secret) if ask.secret is not None else None
        fault = self._fault(ask, token)
        if token is None or fault:
            self.failed(ask.address, fault)
            key = str(ask.address)
            await deferLater(self._clock, self._backoff.delay(ask.address, key))
            challenge = REALM if ask.secret is None else f'{REALM}, error="invalid_token"'  # RFC 6750 §3
            raise APIError(
                401, f"{fault}; seg token makes one, and lists them", headers={"www-authenticate": challenge}
            )
        self._backoff.succeeded(ask.address, str(ask.address))
        if not token.role.may(needed_role(ask.method, ask.path)):
            said = f"token {token.name} may {token.role} only"
            self._sink.emit(AdminRefused(str(ask.address), f"{said}: {ask.method} {ask.path}"[:_LONGEST_PATH]))
            raise APIError(
                403,
                f"{said}; seg token add --role {Role.LOOK if ask.method == 'GET' else Role.ACT} makes one for this",
                headers={"www-authenticate": f'{REALM}, error="insufficient_scope"'},
            )
        return f"token {token.name}"

    def known(self, address: IPAddress) -> bool:
        """Whether somebody was let in from there of late."""
        return self._backoff.known(address)

    def failed(self, address: IPAddress, reason: str) -> None:
        """Somebody had no token that counts."""
        if self._backoff.locked(address):
            return  # told already
        self._backoff.failed(address, str(address))
        if self._backoff.locked(address):
            reason += "; turned away for ten minutes now"
        self._sink.emit(AdminRefused(str(address), reason))

    def knows(self, ask: Credentials) -> bool:
        """Whether this was a token for all, when the file was last looked at: to be asked before a large body is taken."""
        last, secret = self._tokens.last, ask.secret
        token = last.find(secret) if last is not None and secret is not None else None
        return token is not None and token.role is Role.ACT and not token.over(self._today())

    def _fault(self, ask: Credentials, token: Token | None) -> str:
        if token is None:
            return "no token" if not ask.authorization else "unknown token"
        return f"token {token.name} counted until {token.until}" if token.over(self._today()) else ""

    def _today(self) -> datetime.date:
        return datetime.datetime.fromtimestamp(posix(self._clock), datetime.UTC).date()
