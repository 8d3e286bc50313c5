"""The client's side of AUTH (RFC 4954): SASL mechanisms as machines without I/O. No password stands in a repr or a message.

A mechanism gives its first message (None: it has none) and one for each challenge of the server; `trusted` says in the end
whether the server showed all that it has to.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

MOST_ITERATIONS = 10_000_000  # of SCRAM: a server can't make us compute for minutes


class ChallengeError(ValueError):
    """The server's challenge is none of the mechanism's: give up with ``*``."""


class ClientMechanism(Protocol):
    """One exchange."""

    name: str

    def first(self) -> bytes | None:
        """What goes with the command, None for nothing."""

    def answer(self, challenge: bytes) -> bytes:
        """The response to a challenge.

        :raises ChallengeError: it makes no sense.
        """

    @property
    def trusted(self) -> bool:
        """Whether the 235 may be believed."""


class Plain:
    """PLAIN (RFC 4616)."""

    name = "PLAIN"
    trusted = True

    def __init__(self, user: str, password: str) -> None:
        self._message = f"\0{user}\0{password}".encode()

    def first(self) -> bytes | None:
        """Everything."""
        return self._message

    def answer(self, challenge: bytes) -> bytes:
        """The same, for a server that wants it later."""
        if challenge:
            raise ChallengeError("a challenge in PLAIN")
        return self._message


class Login:
    """LOGIN: name and password in two steps."""

    name = "LOGIN"
    trusted = True

    def __init__(self, user: str, password: str) -> None:
        self._left = [user.encode(), password.encode()]

    def first(self) -> bytes | None:
        """Nothing: servers differ on what it would be."""
        return None

    def answer(self, challenge: bytes) -> bytes:
        """Whatever it says, the name is asked for first and then the password."""
        if not self._left:
            raise ChallengeError("a third challenge in LOGIN")
        return self._left.pop(0)


class Scram:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677): the password isn't sent, and the server proves that it knows it.

    :param new_nonce: ASCII without commas, never the same twice.
    """

    name = "SCRAM-SHA-256"

    def __init__(
        self, user: str, password: str, new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24)
    ) -> None:
        self.trusted = False
        self._password = password.encode()
        self._nonce = new_nonce()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes | None:
        """Name and nonce."""
        return f"n,,{self._bare}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """The proof; then, if the server's own proof is right, nothing more."""
        if self._signature:
            if not hmac.compare_digest(challenge, b"v=" + base64.b64encode(self._signature)):
                raise ChallengeError("the server doesn't know the password")
            self.trusted = True
            return b""
        return self._proof(challenge)

    def _proof(self, challenge: bytes) -> bytes:
        try:
            text = challenge.decode("ascii")
            fields = dict(part.split("=", 1) for part in text.split(","))
            nonce, salt, iterations = fields["r"], base64.b64decode(fields["s"], validate=True), int(fields["i"])
        except (ValueError, KeyError, binascii.Error):
            raise ChallengeError("malformed challenge") from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce or not 1 <= iterations <= MOST_ITERATIONS:
            raise ChallengeError("another nonce, or a number of iterations that can't be")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        final = f"c=biws,r={nonce}"
        message = f"{self._bare},{text},{final}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(key).digest()
        proof = bytes(a ^ b for a, b in zip(key, hmac.digest(stored, message, "sha256"), strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return f"{final},p={base64.b64encode(proof).decode('ascii')}".encode()


_BEST_FIRST: tuple[type[Scram] | type[Plain] | type[Login], ...] = (Scram, Plain, Login)


def choose_mechanism(offered: str, allowed: Sequence[str], user: str, password: str) -> ClientMechanism | None:
    """The best mechanism that the server offers and we may use; None when there is none.

    :param offered: the parameters of AUTH in the reply to EHLO.
    :param allowed: names; () = all.
    """
    names = offered.upper().split()
    for kind in _BEST_FIRST:
        if kind.name in names and (not allowed or kind.name in allowed):
            return kind(user, password)
    return None
