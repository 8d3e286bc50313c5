"""How wide each column of a table is in a terminal: nothing breaks inside a word, and what has no room is left out whole. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import attrs
from rich.cells import cell_len

GAP, EDGES = 3, 2  # cells between two columns, and at both ends
LONGEST_WORD = 40  # of a word; a longer one is shortened where columns would have to go for it
LEAST = 12  # cells that a shortened word keeps
ELLIPSIS = "\u2026"


@attrs.frozen
class Layout:
    """What is shown of a table."""

    columns: tuple[int, ...]  # numbers of those that are shown, in order
    widths: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]  # cells of these columns
    left_out: tuple[int, ...] = ()


def fit(
    titles: Sequence[str], rows: Sequence[Sequence[str]], width: int, importance: Sequence[str] = (), tallest: int = 0
) -> Layout:
    """The layout for a terminal of so many columns.

    :param importance: titles, the most important first; the others follow in their order.
    :param tallest: lines that a row may have before the least important column goes; 0: any number.
    """
    order = [titles.index(title) for title in importance]
    order += [number for number in range(len(titles)) if number not in order]
    for shorten in (False, True):
        for kept in range(len(order), 0, -1):
            shown = tuple(sorted(order[:kept]))
            cells = [[row[number] for number in shown] for row in rows]
            longest = max(LEAST, min(LONGEST_WORD, (width - EDGES - GAP * (kept - 1)) // kept)) if shorten else 0
            made = _laid_out([titles[number] for number in shown], cells, width, longest)
            few = kept <= min(3, len(order))  # of them none is given up for the height
            if made is not None and (few or not tallest or _height(made) <= tallest):
                left_out = tuple(number for number in range(len(titles)) if number not in shown)
                return attrs.evolve(made, columns=shown, left_out=left_out)
            if not shorten and kept <= min(3, len(order)):
                break  # rather shorten words than show next to nothing
    cells = [[_shortened(row[order[0]], max(1, width - EDGES))] for row in rows]
    alone = Layout((order[0],), (max(1, width - EDGES),), tuple(tuple(row) for row in cells))
    return attrs.evolve(alone, left_out=tuple(sorted(order[1:])))


def least_width(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Columns of a terminal that has room for each word."""
    columns = zip(titles, *rows, strict=True)
    return sum(max(map(_longest_word, column)) for column in columns) + GAP * (len(titles) - 1) + EDGES


def _laid_out(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int, longest: int) -> Layout | None:
    """The widths, as even as it gets; None when the longest words have no room.

    :param longest: longer words are shortened to it; 0: none is.
    """
    if longest:
        rows = [[_words_shortened(cell, longest) for cell in row] for row in rows]
    columns = list(zip(titles, *rows, strict=True))
    widths = [max(cell_len(cell) for cell in column) for column in columns]
    least = [max(_longest_word(cell) for cell in column) for column in columns]
    room = width - EDGES - GAP * (len(columns) - 1)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        number = max(range(len(widths)), key=lambda n: (widths[n] > least[n], widths[n]))
        others = [widths[n] for n in range(len(widths)) if n != number and widths[n] > least[n]]
        down_to = max(
            [least[number], widths[number] - (sum(widths) - room), *(w for w in others if w < widths[number])]
        )
        widths[number] = down_to if down_to < widths[number] else widths[number] - 1
    return Layout(tuple(range(len(titles))), tuple(widths), tuple(tuple(row) for row in rows))


def _height(layout: Layout) -> int:
    """Lines of the highest row."""
    return max(
        (
            len(textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False))
            for row in layout.rows
            for cell, width in zip(row, layout.widths, strict=True)
        ),
        default=1,
    )


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in text.split()), default=1)


def _words_shortened(text: str, longest: int) -> str:
    return " ".join(_shortened(word, longest) for word in text.split(" "))


def _shortened(word: str, longest: int) -> str:
    """A word of at most so many cells: its beginning and its end, by which domains and addresses are known."""
    if cell_len(word) <= longest:
        return word
    if longest < 5:
        return word[: max(1, longest - 1)] + ELLIPSIS
    behind = (longest - 1) // 2
    made = word[: longest - 1 - behind] + ELLIPSIS + word[-behind:]
    while cell_len(made) > longest:  # characters of two cells
        made = made[:1] + made[2:] if made[1] != ELLIPSIS else made[:2] + made[3:]
    return made
