"""The words that a configuration is made of: what a message may repeat of a file that can't be read, where anything else may be a part of
a password. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import get_args, get_type_hints

import attrs

from seg.config.destinations import AuthProfile, Exemption, NextHop, Profile, SMTPRoute
from seg.config.schema import Settings

_OTHERS = frozenset({"default", "destination", "route", "bounce_profile", "auth_profile", "protocol"})


@lru_cache
def known_words() -> frozenset[str]:
    """The names of all tables and keys."""
    return _OTHERS.union(*(_names(kind) for kind in (Settings, Profile, AuthProfile, SMTPRoute, NextHop, Exemption)))


@lru_cache
def secret_words() -> frozenset[str]:
    """The names of the keys whose value is shown nowhere."""
    return frozenset(
        field.name
        for kind in (Settings, Profile, AuthProfile)
        for section in _sections(kind)
        for field in attrs.fields(section)
        if field.metadata.get("secret")
    )


def _names(kind: type) -> frozenset[str]:
    return frozenset(field.name for section in _sections(kind) for field in attrs.fields(section))


def _sections(kind: type) -> Iterator[type]:
    """A section's class, and those of the tables within it."""
    yield kind
    for hint in get_type_hints(kind).values():
        for inner in (hint, *get_args(hint)):
            if isinstance(inner, type) and attrs.has(inner):
                yield from _sections(inner)
