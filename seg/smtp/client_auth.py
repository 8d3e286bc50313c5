"""The client's side of AUTH (RFC 4954): SASL mechanisms as machines without I/O. No password stands in a repr or a message.

A mechanism gives its first message (None: it has none) and one for each challenge of the server; `trusted` says in the end
whether the server showed all that it has to.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from seg.common.echoes import EchoedSecrets
from seg.common.scram import NAME, client_key, combined, salted_password, server_key, signature, stored_key
from seg.smtp.sasl_wire import decoded, encoded

MOST_ITERATIONS = (
    200_000  # of SCRAM: some 0.1 s in a thread; RFC 7677 §4 has 4,096, today's servers up to 100,000 or so
)
MOST_CHALLENGES = 5  # of one AUTH; LOGIN and SCRAM have two
LONGEST_CHALLENGE = 4096  # characters in base64
LONGEST_COUNT = 10  # digits
LONGEST_NONCE = LONGEST_SALT = 512  # characters, octets


class ChallengeError(ValueError):
    """The server's challenge is none of the mechanism's: give up with ``*``."""


class TooManyIterations(ChallengeError):
    """The server of SCRAM wants more computed than we do for anybody."""


class ClientMechanism(Protocol):
    """One exchange."""

    name: str
    costly: bool  # `answer` takes time: not to be called in the reactor
    echoes: EchoedSecrets  # finds the password in what the server says

    def first(self) -> bytes | None:
        """What goes with the command, None for nothing."""

    def answer(self, challenge: bytes) -> bytes:
        """The response to a challenge.

        :raises ChallengeError: it makes no sense.
        """

    @property
    def trusted(self) -> bool:
        """Whether the 235 may be believed."""


class PlainClient:
    """PLAIN (RFC 4616)."""

    name = "PLAIN"
    trusted = True
    costly = False

    def __init__(self, user: str, password: str) -> None:
        self.echoes = EchoedSecrets(password.encode())
        self._message = f"\0{user}\0{password}".encode()

    def first(self) -> bytes | None:
        """Everything."""
        return self._message

    def answer(self, challenge: bytes) -> bytes:
        """The same, for a server that wants it later."""
        if challenge:
            raise ChallengeError("a challenge in PLAIN")
        return self._message


class LoginClient:
    """LOGIN: name and password in two steps."""

    name = "LOGIN"
    trusted = True
    costly = False

    def __init__(self, user: str, password: str) -> None:
        self.echoes = EchoedSecrets(password.encode())
        self._left = [user.encode(), password.encode()]

    def first(self) -> bytes | None:
        """Nothing: servers differ on what it would be."""
        return None

    def answer(self, challenge: bytes) -> bytes:
        """Whatever it says, the name is asked for first and then the password."""
        if not self._left:
            raise ChallengeError("a third challenge in LOGIN")
        return self._left.pop(0)


class ScramClient:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677): the password isn't sent, and the server proves that it knows it.

    :param new_nonce: ASCII without commas, never the same twice.
    """

    name = NAME
    costly = True

    def __init__(
        self, user: str, password: str, new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24)
    ) -> None:
        self.trusted = False
        self._password = password.encode()
        self.echoes = EchoedSecrets(self._password)
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
        text, nonce, salt, iterations = _first_of_server(challenge)
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ChallengeError("another nonce")
        if iterations > MOST_ITERATIONS:
            raise TooManyIterations(f"{iterations} iterations of SCRAM are wanted, at most {MOST_ITERATIONS} are done")
        salted = salted_password(self._password, salt, iterations)
        final = f"c=biws,r={nonce}"
        message = f"{self._bare},{text},{final}".encode()
        key = client_key(salted)
        proof = combined(key, signature(stored_key(key), message))
        self._signature = signature(server_key(salted), message)
        return f"{final},p={base64.b64encode(proof).decode('ascii')}".encode()


def _first_of_server(challenge: bytes) -> tuple[str, str, bytes, int]:
    """The server's first message (RFC 5802 §7): all of it, nonce, salt, and number of iterations.

    :raises ChallengeError: it is none, or longer than makes sense.
    """
    try:
        text = challenge.decode("ascii")
        fields = dict(part.split("=", 1) for part in text.split(","))
        nonce, salt, count = fields["r"], base64.b64decode(fields["s"], validate=True), fields["i"]
    except (ValueError, KeyError):
        raise ChallengeError("malformed challenge") from None
    if "m" in fields:  # RFC 5802 §5.1: an extension that we must know
        raise ChallengeError("an extension that isn't known")
    if len(nonce) > LONGEST_NONCE or len(salt) > LONGEST_SALT or not count.isdigit() or len(count) > LONGEST_COUNT:
        raise ChallengeError("a nonce, a salt or a number of iterations that can't be")
    iterations = int(count)
    if not iterations:
        raise ChallengeError("no iterations")
    return text, nonce, salt, iterations


def response(mechanism: ClientMechanism, text: str) -> bytes | ChallengeError:
    """What answers a challenge (the text of a 334) on the wire, without the end of its line; the error if it makes no sense."""
    if len(text) > LONGEST_CHALLENGE:
        return ChallengeError(f"a challenge of {len(text)} characters")
    try:
        challenge = decoded(text)
    except ValueError:
        return ChallengeError("a challenge that isn't base64")
    try:
        return encoded(mechanism.answer(challenge))
    except ChallengeError as error:
        return error


_BEST_FIRST: tuple[type[ScramClient] | type[PlainClient] | type[LoginClient], ...] = (
    ScramClient,
    PlainClient,
    LoginClient,
)


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
