"""User names and passwords as RFC 8265 prepares them, so that two ways of typing the same are the same.

RFC 5802 and 4616 ask for SASLprep (RFC 4013), which is obsolete and frozen at Unicode 3.2; its successor agrees with it on
ASCII and on what keyboards make. Names are case-mapped: a telephone that begins with a capital letter does no harm.
"""

from __future__ import annotations

import precis_i18n

MAX_NAME = 255  # characters; none is longer than a mailbox
MAX_PASSWORD = 1024  # characters: what is hashed for strangers is bounded

_NAME = precis_i18n.get_profile("UsernameCaseMapped")  # RFC 8265 §3.3
_PASSWORD = precis_i18n.get_profile("OpaqueString")  # RFC 8265 §4.2


class InvalidName(ValueError):
    """The text can't be a user name, or a password; the message is one line for people and doesn't quote it."""


def prepare_name(text: str) -> str:
    """A user name as it is kept and compared.

    :raises Unfit: it is empty or too long, or has characters that names can't have (spaces, controls).
    """
    if len(text) > MAX_NAME:
        raise InvalidName(f"a user name has {MAX_NAME} characters at most")
    return _enforced(_NAME, text, "user name")


def prepare_password(text: str) -> str:
    """A password as it is hashed and compared.

    :raises Unfit: it is empty or too long, or has control characters.
    """
    if len(text) > MAX_PASSWORD:
        raise InvalidName(f"a password has {MAX_PASSWORD} characters at most")
    return _enforced(_PASSWORD, text, "password")


def _enforced(profile: precis_i18n.profile.Profile, text: str, what: str) -> str:
    try:
        return profile.enforce(text)
    except UnicodeEncodeError as error:
        if not text:
            raise InvalidName(f"the {what} is empty") from None
        kind = error.reason.rpartition("/")[2].replace("_", " ")
        raise InvalidName(f"the {what} has what it can't have ({kind})") from None
