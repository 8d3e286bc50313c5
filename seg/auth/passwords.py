"""Passwords as Argon2id hashes (RFC 9106), for PLAIN and LOGIN. Each function takes its time, and memory: run it in a thread."""

from __future__ import annotations

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

# The second choice of OWASP: a thread needs 19 MiB, so that strangers who guess can't use up the machine.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
MOST_MEMORY = 1024 * 1024  # KiB
MOST_TIME = 100  # passes

# Of a password that nobody knows: checked for users who don't exist, so that they take as long.
DECOY = "$argon2id$v=19$m=19456,t=2,p=1$zUa6LC2E18JayDYedSIetg$HMsmX5rfj5P6w+y/6QRvw2TbFk9XRze+aidAw5snAAk"


def hash_password(password: str) -> str:
    """The hash of a password that is prepared already, as one word."""
    return _HASHER.hash(password)


def check_password(hashed: str, password: str) -> bool:
    """Whether this is the password."""
    try:
        return _HASHER.verify(hashed, password)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError):  # a hash whose numbers fit and whose rest doesn't
        return False


def hash_fault(hashed: str) -> str:
    """What is wrong with a word that should be a hash; "" when nothing is."""
    try:
        parameters = argon2.extract_parameters(hashed)
    except InvalidHashError:
        return "no Argon2 hash ($argon2id$...)"
    if parameters.type is not argon2.Type.ID:
        return "an Argon2 hash of another kind than argon2id"
    if parameters.memory_cost > MOST_MEMORY or parameters.time_cost > MOST_TIME:
        return f"an Argon2 hash that costs too much (most: m={MOST_MEMORY}, t={MOST_TIME})"
    return ""
