"""What a mechanism answers: say something to the client, look something up, or an end."""

from __future__ import annotations

import attrs

from seg.auth.scram_keys import Proof


@attrs.frozen
class Challenge:
    """Send this to the client, and hand its response to `step`."""

    data: bytes


@attrs.frozen
class SaltWanted:
    """Find out the salt of this user, or a decoy, and hand it to `salted`."""

    user: str


@attrs.frozen
class PasswordGiven:
    """Check this; then say `accepted`, if it is right."""

    user: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class ProofGiven:
    """Check this against the user's keys; then say `accepted`, if it is right."""

    user: str
    proof: Proof = attrs.field(repr=False)


@attrs.frozen
class Success:
    """The client is this user."""

    identity: str


@attrs.frozen
class Failure:
    """The client isn't let in; the reason is one line for the log, never for the client."""

    reason: str
    user: str = ""  # as claimed, "" when it never came to that
    later: bool = False  # nobody can say now: the client may come again


MechanismResult = Challenge | SaltWanted | PasswordGiven | ProofGiven | Success | Failure
OUT_OF_TURN = Failure("a response out of turn")
