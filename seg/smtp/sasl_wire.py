"""SASL messages as AUTH carries them (RFC 4954 §4): in base64, an empty initial response as ``=``. Both sides."""

from __future__ import annotations

import base64


def encoded(message: bytes) -> bytes:
    """A challenge or response."""
    return base64.b64encode(message)


def decoded(text: bytes | str) -> bytes:
    """A challenge or response as it was meant.

    :raises ValueError: it isn't base64, or no ASCII.
    """
    return base64.b64decode(text, validate=True)


def encoded_initial(message: bytes | None) -> bytes:
    """What stands behind the mechanism in the command; None is none."""
    return b"" if message is None else b" " + (encoded(message) or b"=")


def decoded_initial(word: str) -> bytes:
    """An initial response as it was meant.

    :raises ValueError: as `decoded`.
    """
    return b"" if word == "=" else decoded(word)
