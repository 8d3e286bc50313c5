"""PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): the client sends its password, inside TLS.

Both are the server's side as a machine without I/O: `start` or `step` give a `MechanismResult`; after `PasswordGiven` the password is
checked by somebody else, who says `accepted`. Nothing here raises, whatever the client sends.
"""

from __future__ import annotations

from seg.auth.mechanism_results import OUT_OF_TURN, Challenge, Failure, MechanismResult, PasswordGiven, Success
from seg.auth.names import InvalidName, prepare_name, prepare_password
from seg.auth.scram_keys import Salt


class _Password:
    """What both have in common: at the end a name and a password are there."""

    def __init__(self) -> None:
        self._asked = False

    def salted(self, salt: Salt) -> MechanismResult:
        """Never asked for."""
        return OUT_OF_TURN

    def accepted(self, identity: str) -> MechanismResult:
        """The password is right."""
        if not self._asked:
            return OUT_OF_TURN
        self._asked = False
        return Success(identity)

    def _given(self, user: bytes, password: bytes, authorization: bytes = b"") -> MechanismResult:
        try:
            name = prepare_name(user.decode())
        except (UnicodeDecodeError, InvalidName) as error:
            return Failure(_why(error))
        try:
            if authorization and prepare_name(authorization.decode()) != name:
                return Failure("wants to act for another user", name)
            secret = prepare_password(password.decode())
        except (UnicodeDecodeError, InvalidName) as error:
            return Failure(_why(error), name)
        self._asked = True
        return PasswordGiven(name, secret)


class Plain(_Password):
    """One message with everything: ``[authzid] NUL authcid NUL passwd``."""

    name = "PLAIN"

    def __init__(self) -> None:
        super().__init__()
        self._over = False

    def start(self, initial: bytes | None) -> MechanismResult:
        """Begin, with the initial response if there was one."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> MechanismResult:
        """The client's message."""
        if self._over:
            return OUT_OF_TURN
        self._over = True
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Failure("malformed message")
        authorization, user, password = parts
        return self._given(user, password, authorization)


class Login(_Password):
    """Name and password, each when asked for. It was never made a standard, and some clients know nothing else."""

    name = "LOGIN"

    def __init__(self) -> None:
        super().__init__()
        self._user: bytes | None = None
        self._over = False

    def start(self, initial: bytes | None) -> MechanismResult:
        """Begin; an initial response is the name."""
        return Challenge(b"Username:") if initial is None else self.step(initial)

    def step(self, response: bytes) -> MechanismResult:
        """The name, then the password."""
        if self._over:
            return OUT_OF_TURN
        if self._user is None:
            self._user = response
            return Challenge(b"Password:")
        self._over = True
        return self._given(self._user, response)


def _why(error: UnicodeDecodeError | InvalidName) -> str:
    return "text that isn't UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
