"""The SASL mechanisms that are offered, in the order in which EHLO lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from seg.auth.mechanism_results import MechanismResult
from seg.auth.plain import Login, Plain
from seg.auth.scram import ScramServer
from seg.auth.scram_keys import Salt
from seg.common.scram import NAME

Bindings = Mapping[str, bytes]  # channel binding data by type (RFC 5929, RFC 9266)


class Mechanism(Protocol):
    """The server's side of one exchange. None of it raises; what comes out of turn is `Failure`."""

    name: str

    def start(self, initial: bytes | None) -> MechanismResult:
        """Begin, with the client's initial response or without one."""

    def step(self, response: bytes) -> MechanismResult:
        """The response to a `Challenge`."""

    def salted(self, salt: Salt) -> MechanismResult:
        """The answer to `SaltWanted`."""

    def accepted(self, identity: str) -> MechanismResult:
        """The yes to `PasswordGiven` or `ProofGiven`."""


_MAKERS: dict[str, Callable[[Bindings], Mechanism]] = {
    "PLAIN": lambda bindings: Plain(),
    "LOGIN": lambda bindings: Login(),
    NAME: ScramServer,
    f"{NAME}-PLUS": lambda bindings: ScramServer(bindings, plus=True),
}


def offered(*, scram: bool, bindings: Bindings) -> tuple[str, ...]:
    """The names for EHLO, within TLS.

    :param scram: the checker knows keys of SCRAM.
    :param bindings: without any there is no -PLUS.
    """
    names = [name for name in _MAKERS if scram or not name.startswith(NAME)]
    return tuple(name for name in names if bindings or not name.endswith("-PLUS"))


def mechanism(name: str, bindings: Bindings) -> Mechanism:
    """A new exchange of one that is offered."""
    return _MAKERS[name](bindings)
