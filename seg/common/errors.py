"""What any part may raise: the configuration can't be used; and errors that are kept."""

from __future__ import annotations

from typing import TypeVar

E = TypeVar("E", bound=BaseException)


class ConfigurationError(Exception):
    """The configuration can't be used; `problems` holds one complete line for each fault.

    Nothing was bound or changed: show the lines and stop.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def without_traces(error: E) -> E:
    """The same error, to be kept: its trace, and those of what it came from, would keep alive whatever the functions held that it passed
    through, and what holds the error is often among that."""
    each: BaseException | None = error
    seen: set[int] = set()
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error
