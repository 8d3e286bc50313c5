"""What SCRAM-SHA-256 computes (RFC 5802 §3, RFC 7677), on the server's side and on the client's. Pure."""

from __future__ import annotations

import hashlib
import hmac

NAME = "SCRAM-SHA-256"
KEY_SIZE = 32  # octets of each key, signature and proof


def salted_password(password: bytes, salt: bytes, iterations: int) -> bytes:
    """Hi(): what all keys come from. Takes its time."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


def client_key(salted: bytes) -> bytes:
    """ClientKey: whoever has it can log in."""
    return signature(salted, b"Client Key")


def server_key(salted: bytes) -> bytes:
    """ServerKey: by it a server proves that it knows the user."""
    return signature(salted, b"Server Key")


def stored_key(key: bytes) -> bytes:
    """StoredKey of a ClientKey."""
    return hashlib.sha256(key).digest()


def signature(key: bytes, message: bytes) -> bytes:
    """HMAC: ClientSignature by the StoredKey, ServerSignature by the ServerKey."""
    return hmac.digest(key, message, "sha256")


def combined(key: bytes, client_signature: bytes) -> bytes:
    """Exclusive or: ClientProof of a ClientKey, and the ClientKey of a ClientProof."""
    return bytes(a ^ b for a, b in zip(key, client_signature, strict=True))
