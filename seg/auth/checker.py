"""The users file as a checker of `twisted.cred`, and the realm behind it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import attrs
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, DeferredSemaphore
from zope.interface import Interface, implementer

from seg.auth.interfaces import CheckUnavailable, ISaltSource, IScramCredentials, ISubmitter, WrongPassword
from seg.auth.passwords import DECOY, check_password
from seg.auth.scram_keys import Proof, Salt, ScramKeys, decoy_salt, derive
from seg.auth.store import UserStore
from seg.common.threads import InThread

MOST_WAITING = 200  # passwords that wait to be hashed; more are told to come again


@implementer(IScramCredentials)
@attrs.frozen
class ScramCredentials:
    """The proof of one exchange."""

    username: bytes
    proof: Proof = attrs.field(repr=False)

    def check_keys(self, keys: ScramKeys) -> bool:
        """Whether it was made with the password of these keys."""
        return self.proof.check(keys)


@implementer(ISubmitter)
@attrs.frozen
class Submitter:
    """Somebody who may hand in mail."""

    identity: str


@implementer(IRealm)
class SubmissionRealm:
    """Everybody whose credentials are right may hand in mail."""

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], Submitter, Callable[[], None]]:
        """The submitter of this name.

        :raises NotImplementedError: something else is wanted.
        """
        if ISubmitter not in interfaces or not avatarId:
            raise NotImplementedError("there are only submitters, and each has a name")
        return ISubmitter, Submitter(bytes(avatarId).decode()), lambda: None


@implementer(ICredentialsChecker, ISaltSource)
class UsersChecker:
    """Checks against the users file. A user who doesn't exist takes as long as one who does, and gets a salt as well.

    :param most_hashing: passwords hashed at a time, each in a thread.
    """

    credentialInterfaces = (IUsernamePassword, IScramCredentials)

    def __init__(self, store: UserStore, in_thread: InThread, most_hashing: int) -> None:
        self._store = store
        self._in_thread = in_thread
        self._hashing = DeferredSemaphore(most_hashing)
        # What nobody's proof was made with: a secret that is thrown away.
        self._nobody = derive(secrets.token_urlsafe(), iterations=1)

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """The name, once it is certain that it is theirs; fails with `UnauthorizedLogin` or `CheckUnavailable`."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def salt(self, user: str) -> Salt:
        """The salt of a user, or a decoy."""
        users = await self._store.users()
        found = users.by_name.get(user)
        return found.scram.salt if found is not None and found.scram is not None else decoy_salt(users.decoy_key, user)

    async def _check(self, credentials: Any) -> bytes:
        users = await self._store.users()
        name: bytes = credentials.username
        user = users.by_name.get(name.decode())
        if IScramCredentials.providedBy(credentials):
            keys = user.scram if user is not None else None
            right = credentials.check_keys(keys or self._nobody) and keys is not None
        else:
            hashed = user.password if user is not None else ""
            right = await self._hash(hashed or DECOY, credentials.password.decode()) and hashed != ""
        if not right:
            raise (UnauthorizedLogin if user is None else WrongPassword)("no such user, or another password")
        return name

    async def _hash(self, hashed: str, password: str) -> bool:
        if len(self._hashing.waiting) >= MOST_WAITING:
            raise CheckUnavailable("too many passwords wait to be checked")
        return bool(await self._hashing.run(self._in_thread, lambda: check_password(hashed, password)))
