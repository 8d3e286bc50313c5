"""What is kept of a password for SCRAM (RFC 5802 §3), and the proof that is checked against it. Pure functions.

From the keys nobody can log in, short of guessing the password.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets

import attrs

from seg.common.scram import (
    KEY_SIZE,
    NAME,
    client_key,
    combined,
    salted_password,
    server_key,
    signature,
    stored_key,
)

SALT_SIZE = 16
LEAST_ITERATIONS = 4096  # RFC 7677 §4
MOST_ITERATIONS = 10_000_000
ITERATIONS = 15_000  # of new keys: it is the client that spends the time

# As PostgreSQL writes it: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
_TEXT = re.compile(r"SCRAM-SHA-256\$([0-9]{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


@attrs.frozen
class Salt:
    """What a client must know to make its proof."""

    salt: bytes
    iterations: int


@attrs.frozen
class ScramKeys:
    """A user's secret, as kept."""

    salt: Salt
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)


class Proof:
    """A client's proof, and what it was made over; `check` it, then `server_signature` answers it."""

    def __init__(self, auth_message: bytes, proof: bytes) -> None:
        self.server_signature = b""  # b"" as long as the proof wasn't found right
        self._auth_message = auth_message
        self._proof = proof

    def check(self, keys: ScramKeys) -> bool:
        """Whether it was made with the password of these keys (RFC 5802 §3)."""
        key = combined(self._proof, signature(keys.stored_key, self._auth_message))
        right = hmac.compare_digest(stored_key(key), keys.stored_key)
        self.server_signature = signature(keys.server_key, self._auth_message) if right else b""
        return right


def derive(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> ScramKeys:
    """The keys of a password that is prepared already. Takes its time."""
    salt = secrets.token_bytes(SALT_SIZE) if salt is None else salt
    salted = salted_password(password.encode(), salt, iterations)
    return ScramKeys(Salt(salt, iterations), stored_key(client_key(salted)), server_key(salted))


def decoy_salt(key: bytes, user: str) -> Salt:
    """What a user who doesn't exist has for a salt: always the same one, as users who do exist."""
    return Salt(signature(key, user.encode())[:SALT_SIZE], ITERATIONS)


def format_keys(keys: ScramKeys) -> str:
    """The keys as one word."""
    salt, stored, server = (_base64(part) for part in (keys.salt.salt, keys.stored_key, keys.server_key))
    return f"{NAME}${keys.salt.iterations}:{salt}${stored}:{server}"


def parse_keys(text: str) -> ScramKeys:
    """The keys in a word.

    :raises ValueError: it isn't one; the message is one line for people.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"keys must be {NAME}$iterations:salt$StoredKey:ServerKey")
    try:
        salt, stored, server = (base64.b64decode(part, validate=True) for part in match.groups()[1:])
    except binascii.Error:
        raise ValueError("keys that aren't base64") from None
    iterations = int(match.group(1))
    if len(stored) != KEY_SIZE or len(server) != KEY_SIZE or not salt:
        raise ValueError("keys of a wrong length")
    if not LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS:
        raise ValueError(f"iterations must be {LEAST_ITERATIONS} to {MOST_ITERATIONS}")
    return ScramKeys(Salt(salt, iterations), stored, server)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
