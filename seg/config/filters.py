"""The ``[[filter]]`` tables: the address of a milter, and what the tables must have in common with the rest."""

from __future__ import annotations

from collections.abc import Iterator, Set

import attrs

from seg.common.endpoint import endpoint
from seg.config.problems import offered
from seg.config.schema import Filter
from seg.config.syntax import parse_host, parse_port, split_port

_FORMS = "inet:host:port, inet6:[address]:port or unix:/path"


@attrs.frozen
class FilterAddress:
    """Where a milter listens: a path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0


def parse_filter_address(text: str) -> FilterAddress:
    """The address of a milter.

    :raises ValueError: it has none of the forms.
    """
    kind, colon, rest = text.partition(":")
    if kind == "unix":
        if not rest.startswith("/"):
            raise ValueError(f'"{text}" wants the whole path of a socket, such as unix:/run/milter.sock')
        return FilterAddress(path=rest)
    if kind not in ("inet", "inet6") or not colon:
        raise ValueError(f'"{text}" is not {_FORMS}')
    if "@" in rest:  # the form of Sendmail and OpenDKIM
        port, _, host = rest.partition("@")
        raise ValueError(f'"{text}" is not {_FORMS}; write {kind}:{endpoint(host, port)}')
    host, number = split_port(rest)
    if number is None or not host:
        raise ValueError(f'"{text}" is not {_FORMS}')
    return FilterAddress(host=parse_host(host), port=parse_port(number))


def filter_faults(filter_: Filter, names: Set[str], listeners: Set[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with one table, as (key, fault).

    :param names: those of the tables before it.
    :param listeners: names of the listeners.
    """
    if not filter_.name:
        yield "name", "must not be empty"
    if filter_.name in names:
        yield "name", f'another filter is called "{filter_.name}"'
    if filter_.kind == "milter":
        try:
            parse_filter_address(filter_.address)
        except ValueError as error:
            yield "address", str(error) if filter_.address else f"a milter needs one: {_FORMS}"
    for listener in filter_.listeners:
        if listener not in listeners:
            yield "listeners", f'there is no listener "{listener}"{offered(listener, sorted(listeners))}'
