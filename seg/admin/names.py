"""Names of domains as operators write them in commands: each is checked, and one that can't be right is answered by the nearest that is."""

from __future__ import annotations

from collections.abc import Callable

from seg.admin.http import APIError
from seg.config.syntax import parse_domain, parse_pattern

LONGEST = 1024  # characters of a name that are looked at


def asked_domain(text: object, known: Callable[[str], bool] = lambda name: False) -> str:
    """A domain as mail is sent to: a name or an address literal.

    :param known: whether there is such a destination, however its name is written: a client may have made one up.
    :raises APIError: 400, it is neither.
    """
    return _parsed(parse_domain, text, known)


def asked_pattern(text: object, known: Callable[[str], bool] = lambda name: False) -> str:
    """A domain, or all below one (``.example.com``), as in destinations.toml.

    :raises APIError: 400, it is neither.
    """
    return _parsed(parse_pattern, text, known)


def _parsed(parse: Callable[[str], str], text: object, known: Callable[[str], bool]) -> str:
    name = text[:LONGEST].strip() if isinstance(text, str) else ""
    if isinstance(text, str) and known(name):
        return name
    if not name:
        raise APIError(400, "name a domain, such as example.com")
    try:
        return parse(name)
    except ValueError as error:
        raise APIError(400, str(error)) from None
