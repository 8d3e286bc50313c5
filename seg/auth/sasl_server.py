"""Where clients of a listener authenticate: which mechanisms there are, and one `Exchange` for each AUTH command."""

from __future__ import annotations

import os
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from seg.auth.backoff import AttemptState, Backoff
from seg.auth.checker import ScramCredentials, SubmissionRealm
from seg.auth.interfaces import CheckUnavailable, ISaltSource, IScramCredentials, ISubmitter, WrongPassword
from seg.auth.mechanism_results import (
    Challenge,
    Failure,
    MechanismResult,
    PasswordGiven,
    ProofGiven,
    SaltWanted,
    Success,
)
from seg.auth.mechanisms import Bindings, Mechanism, mechanism, offered
from seg.common.shares import Shares
from seg.mail.hosts import IPAddress

MOST_CHECKS = 200  # at a time, of which clients that were let in of late are sure of some; more are told to come again
KNOWN_CLIENTS = "known"  # the group of these
MOST_HASHING = max(2, os.cpu_count() or 1)  # passwords hashed at a time
CHECK_TIMEOUT = 60.0  # seconds for a checker's answer
BUSY_WAIT = 1.0  # seconds until a check that may not begin yet is tried again
MOST_BUSY = 30  # times


Answer = Challenge | Success | Failure  # to the client


class SASLServer:
    """Lets users in.

    :param checker: says whether credentials are right.
    :param wanted: mechanisms that the operator allows; () = all but those with channel binding, which some clients choose and can't do.
    """

    def __init__(
        self, checker: ICredentialsChecker, backoff: Backoff, clock: IReactorTime, wanted: tuple[str, ...] = ()
    ) -> None:
        self._portal = Portal(SubmissionRealm(), (checker,))
        self._salts: Any = checker if ISaltSource.providedBy(checker) else None
        self._interfaces = set(checker.credentialInterfaces)
        self._backoff = backoff
        self._clock = clock
        self._wanted = wanted
        self._binds = any(name.endswith("-PLUS") for name in wanted)
        self._checks = Shares(MOST_CHECKS, (KNOWN_CLIENTS,))

    def mechanisms(self, bindings: Bindings) -> tuple[str, ...]:
        """The mechanisms offered in a TLS session with these channel bindings."""
        scram = self._salts is not None and IScramCredentials in self._interfaces
        names = offered(scram=scram, bindings=bindings if self._binds else {})
        if IUsernamePassword not in self._interfaces:
            names = tuple(name for name in names if name not in ("PLAIN", "LOGIN"))
        return tuple(name for name in names if not self._wanted or name in self._wanted)

    def locked(self, address: IPAddress) -> bool:
        """Whether a client failed too often to try again now."""
        return self._backoff.locked(address)

    def exchange(self, name: str, bindings: Bindings, address: IPAddress) -> Exchange:
        """A new exchange by one of the `mechanisms`."""
        return Exchange(self, mechanism(name, bindings if self._binds else {}), address)

    # --- what an exchange has checked ----------------------------------------------------------------

    async def salt(self, user: str) -> Any:
        """The salt of a user, or a decoy.

        :raises CheckUnavailable: it can't be looked up.
        """
        return await self._in_time(self._salts.salt(user))

    async def check(self, user: str, credentials: Any, address: IPAddress) -> str:
        """The name of whoever has these credentials.

        :raises UnauthorizedLogin: nobody has.
        :raises CheckUnavailable: nobody can say.
        """
        await self._wait_for_turn(user, address)
        group = KNOWN_CLIENTS if self._backoff.known(address) else ""
        try:
            if not self._checks.room(group):
                raise CheckUnavailable("too many passwords wait to be checked")
            avatar = await self._login(credentials, group)
        except UnauthorizedLogin:
            self._backoff.failed(address, user)
            raise
        finally:
            self._backoff.leave(address)
        self._backoff.succeeded(address, user)
        return str(avatar[1].identity)

    async def _login(self, credentials: Any, group: str) -> Any:
        self._checks.take(group)
        try:
            return await self._in_time(self._portal.login(credentials, None, ISubmitter))
        finally:
            self._checks.give_back(group)

    async def _in_time(self, answer: Awaitable[Any]) -> Any:
        """What a checker says: a session doesn't wait for ever for a third party's.

        :raises CheckUnavailable: it says nothing.
        """
        waiting: Deferred[Any] = answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(_awaited(answer))
        try:
            return await waiting.addTimeout(CHECK_TIMEOUT, self._clock)
        except TimeoutError:
            raise CheckUnavailable(f"the checker gave no answer in {CHECK_TIMEOUT:g} seconds") from None

    async def _wait_for_turn(self, user: str, address: IPAddress) -> None:
        await self._sleep(self._backoff.delay(address, user))
        for _ in range(MOST_BUSY):
            entry = self._backoff.enter(address)
            if entry is AttemptState.FREE:
                return
            if entry is AttemptState.LOCKED:
                raise CheckUnavailable("too many failures from this address")
            await self._sleep(BUSY_WAIT)
        raise CheckUnavailable("too many checks from this address at a time")

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await deferLater(self._clock, seconds)


class Exchange:
    """One AUTH command, from the mechanism's name to the end."""

    def __init__(self, sasl: SASLServer, machine: Mechanism, address: IPAddress) -> None:
        self.mechanism = machine.name
        self._sasl = sasl
        self._machine = machine
        self._address = address

    def start(self, initial: bytes | None) -> Deferred[Answer]:
        """Begin, with the client's initial response if it sent one. Cancel to give up; never fails else."""
        return self._go_on(lambda: self._machine.start(initial))

    def step(self, response: bytes) -> Deferred[Answer]:
        """The client's response to a challenge."""
        return self._go_on(lambda: self._machine.step(response))

    def _go_on(self, first: Callable[[], MechanismResult]) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self._run(first()))

    async def _run(self, step: MechanismResult) -> Answer:
        user = ""
        while True:
            match step:
                case Challenge() | Success():
                    return step
                case Failure(reason, user):
                    return self._refused(reason, user)
            user = step.user
            try:
                step = await self._looked_up(step)
            except UnauthorizedLogin as error:
                return self._refused("no such user, or another password", user, known=isinstance(error, WrongPassword))
            except CheckUnavailable as error:
                return self._refused(str(error), user, later=True)
            except Exception as error:  # noqa: BLE001 - a checker of a third party may raise anything
                return self._refused(f"the checker failed: {_place(error)}", user, later=True)

    def _refused(self, reason: str, user: str, *, known: bool = False, later: bool = False) -> Failure:
        """The client isn't let in. LOGIN asks for two things, and what it got for a name may be the password: it is for the log only when
        there is such a user."""
        return Failure(reason, user if known or self.mechanism != "LOGIN" else "", later)

    async def _looked_up(self, step: SaltWanted | PasswordGiven | ProofGiven) -> MechanismResult:
        if isinstance(step, SaltWanted):
            return self._machine.salted(await self._sasl.salt(step.user))
        name = step.user.encode()
        credentials: Any
        if isinstance(step, PasswordGiven):
            credentials = UsernamePassword(name, step.password.encode())
        else:
            credentials = ScramCredentials(name, step.proof)
        return self._machine.accepted(await self._sasl.check(step.user, credentials, self._address))


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def _place(error: Exception) -> str:
    """What was raised, and where; not its text, which may quote the credentials."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
