"""Long work in the reactor, cut so that others get their turn: what an operator may ask for can be as large as the queue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from time import perf_counter
from typing import Any, TypeVar

import attrs
from twisted.internet.task import deferLater

from seg.common.json_schema import members

TURN = 0.005  # seconds of work in one turn of the reactor
PIECE = 200  # elements of a list or mapping that are made into JSON at once
LONG = 262_144  # characters of a text that goes into a piece of its own

T = TypeVar("T")


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items; the reactor goes on in between when they take long."""
    begun = perf_counter()
    for item in items:
        yield item
        if perf_counter() - begun > TURN:
            await _next_turn()
            begun = perf_counter()


async def encoded(value: object) -> list[bytes]:
    """A value as JSON, in pieces, made in as many turns as it needs."""
    return [piece.encode() async for piece in in_turns(_pieces(value))]


async def _next_turn() -> None:
    from twisted.internet import reactor

    await deferLater(reactor, 0)


def _pieces(value: Any) -> Iterator[str]:
    """JSON of a value: long lists and mappings in pieces, and so are those within the first levels of it."""
    value = members(value) if attrs.has(type(value)) else value
    if isinstance(value, Mapping) and _is_large(value.values()):
        yield "{"
        for number, (name, inner) in enumerate(value.items()):
            yield f"{', ' if number else ''}{json.dumps(name)}: "
            yield from _pieces(inner)
        yield "}"
    elif isinstance(value, Mapping) and len(value) > PIECE:
        yield from _sliced("{", [*value.items()], "}")
    elif isinstance(value, list | tuple) and _is_large(value[:PIECE]):
        yield "["
        for number, inner in enumerate(value):
            yield ", " if number else ""
            yield from _pieces(inner)
        yield "]"
    elif isinstance(value, list | tuple) and len(value) > PIECE:
        yield from _sliced("[", value, "]")
    else:
        yield json.dumps(value, default=members)


def _is_large(values: Iterable[Any]) -> bool:
    """Whether one of them is worth pieces of its own."""
    return any(
        len(each) > (LONG if isinstance(each, str) else PIECE)
        for each in values
        if isinstance(each, str | list | tuple | Mapping)
    )


def _sliced(begin: str, items: Any, end: str) -> Iterator[str]:
    """A list's elements, or a mapping's pairs, some at once."""
    yield begin
    for start in range(0, len(items), PIECE):
        part = items[start : start + PIECE]
        text = json.dumps(part if begin == "[" else dict(part), default=members)
        yield (", " if start else "") + text[1:-1]
    yield end
