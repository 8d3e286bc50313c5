"""Edits of a header, each applied to what the one before has left; pure.

Both the fields and the edits are somebody else's to choose, 5000 of each: every edit finds its field by an index of names, so that all of
them together cost some milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from seg.filter.answers import AddField, ChangeField, DeleteField, FieldEdit, InsertField
from seg.filter.header import MOST_FIELDS, MOST_OCTETS, HeaderField, HeaderGrown, made

_BLOCK = 512  # places in a block at first; twice as many split it


def edited(fields: Iterable[HeaderField], edits: Iterable[FieldEdit]) -> tuple[HeaderField, ...]:
    """The header after these edits.

    :raises HeaderGrown: it would have more than `MOST_FIELDS` fields or `MOST_OCTETS` octets.
    """
    edits = tuple(edits)
    header = _Header(tuple(fields), sum(isinstance(edit, InsertField) for edit in edits))
    for edit in edits:
        name = edit.name.lower().encode("ascii")
        match edit:
            case AddField():
                header.append(name, made(edit.name, edit.value, edit.spaced))
            case InsertField():
                header.insert(edit.position, name, made(edit.name, edit.value, edit.spaced))
            case ChangeField():
                header.change(name, edit.number, made(edit.name, edit.value, edit.spaced))
            case DeleteField():
                header.delete(name, edit.number)
    return header.fields()


class _Place:
    """Where a field stands: places ascend by their key."""

    __slots__ = ("field", "key")

    def __init__(self, key: int, field: HeaderField) -> None:
        self.key = key
        self.field = field


_key = attrgetter("key")


class _Places:
    """Places in order, in blocks: to find the n-th, to add and to remove one is quick whatever their number."""

    __slots__ = ("_blocks", "_firsts", "count")

    def __init__(self, places: Sequence[_Place]) -> None:
        self.count = len(places)
        self._blocks = [list(places[start : start + _BLOCK]) for start in range(0, len(places), _BLOCK)] or [[]]
        self._firsts = [-1, *(block[0].key for block in self._blocks[1:])]  # no key of a block is less

    def __iter__(self) -> Iterator[_Place]:
        for block in self._blocks:
            yield from block

    def between(self, number: int) -> int:
        """A key for a new place behind `number` others, and before one more."""
        last: list[_Place] | None = None
        for block in self._blocks:
            if number < len(block):
                before = block[number - 1].key if number else last[-1].key if last else 0
                return (before + block[number].key) >> 1
            number -= len(block)
            last = block or last
        raise IndexError

    def add(self, place: _Place) -> None:
        """One more."""
        number = bisect_right(self._firsts, place.key) - 1
        block = self._blocks[number]
        insort(block, place, key=_key)
        self.count += 1
        if len(block) > 2 * _BLOCK:
            self._blocks[number : number + 1] = [block[:_BLOCK], block[_BLOCK:]]
            self._firsts.insert(number + 1, block[_BLOCK].key)

    def remove(self, place: _Place) -> None:
        """One that is there goes."""
        block = self._blocks[bisect_right(self._firsts, place.key) - 1]
        del block[bisect_left(block, place.key, key=_key)]
        self.count -= 1


class _Header:
    """Fields in order, and where each name stands.

    The keys of the places begin so far apart that each of the insertions may halve the same gap: they never need to be numbered anew.
    """

    def __init__(self, fields: Sequence[HeaderField], insertions: int) -> None:
        self._gap = 2 << insertions
        self._last = self._gap * len(fields)  # no key is greater
        places = [_Place(self._gap * number, field) for number, field in enumerate(fields, 1)]
        self._order = _Places(places)
        self._octets = sum(len(field.raw) for field in fields)
        self._names: dict[bytes, list[_Place]] = {}  # in order, our own field left out
        for place in places:
            if not place.field.ours:
                name = place.field.raw.partition(b":")[0].rstrip(b" \t").lower()
                self._names.setdefault(name, []).append(place)

    def fields(self) -> tuple[HeaderField, ...]:
        """All of them in order."""
        return tuple(place.field for place in self._order)

    def append(self, name: bytes, field: HeaderField) -> None:
        """One more behind all others."""
        self._last += self._gap
        self._add(_Place(self._last, field), name)

    def insert(self, position: int, name: bytes, field: HeaderField) -> None:
        """One more behind so many others; a position beyond the end is the end."""
        if position >= self._order.count:
            self.append(name, field)
            return
        self._add(_Place(self._order.between(position), field), name)

    def change(self, name: bytes, number: int, field: HeaderField) -> None:
        """Put a field in the place of the one of this name and number (from 1; 0 means 1), or behind all others where there is none."""
        places, number = self._names.get(name, ()), max(number, 1)
        if number > len(places):
            self.append(name, field)
            return
        place = places[number - 1]
        self._grow(len(field.raw) - len(place.field.raw))
        place.field = field

    def delete(self, name: bytes, number: int) -> None:
        """Take one out, if it is there."""
        places, number = self._names.get(name, []), max(number, 1)
        if number <= len(places):
            place = places.pop(number - 1)
            self._octets -= len(place.field.raw)
            self._order.remove(place)

    def _add(self, place: _Place, name: bytes) -> None:
        if self._order.count >= MOST_FIELDS:
            raise HeaderGrown(f"it makes a header of more than {MOST_FIELDS} fields")
        self._grow(len(place.field.raw))
        self._order.add(place)
        insort(self._names.setdefault(name, []), place, key=_key)

    def _grow(self, octets: int) -> None:
        self._octets += octets
        if octets > 0 and self._octets > MOST_OCTETS:
            raise HeaderGrown(f"it makes a header of more than {MOST_OCTETS} octets")
