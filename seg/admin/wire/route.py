"""One operation of the admin API: a row with all that is known of it, and how a request is read."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

import attrs

from seg.admin.roles import Role
from seg.common.json_schema import Keywords, alternatives, hints
from seg.config.problems import offered

MAX_BODY = 65536  # octets of a request's body
LARGEST = 10**12 - 1  # of a number without a limit of its own
SHOWN = 100  # characters of a wrong value that an error shows

Q = TypeVar("Q")
A = TypeVar("A")


@attrs.frozen
class NoParameters:
    """A request that says nothing but what it is."""


@attrs.frozen
class RawResponse:
    """An answer that isn't JSON of an attrs class."""

    data: bytes
    content_type: str


@attrs.frozen
class APIRoute(Generic[Q, A]):
    """A method on paths like ``/v1/messages/{mid}``.

    :param name: its ``operationId``.
    :param role: the least that a token must have.
    :param request: what is asked: an attrs class. Its fields are the parameters of path and query, or with a ``from_body`` those of the body.
    :param answer: an attrs class, or `RawResponse`.
    :param doc: one sentence for people.
    :param refusals: statuses of errors that a client has to expect.
    :param content_type: of the answer.
    """

    method: str
    path: str
    name: str
    role: Role
    request: type[Q]
    answer: type[A]
    doc: str
    refusals: tuple[int, ...] = ()
    content_type: str = "application/json"

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of the path."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @property
    def max_body(self) -> int:
        """Octets that a request's body may have."""
        most: int = getattr(self.request, "MAX_BODY", MAX_BODY)
        return most

    @property
    def takes_body(self) -> bool:
        """Whether what is asked stands in the body."""
        return hasattr(self.request, "from_body")

    def asked(self, parameters: Mapping[str, str], body: Mapping[str, Any]) -> Q:
        """What a request asks.

        :param parameters: those of the path and of the query.
        :raises ValueError: nothing that can be asked; the text says what is wrong.
        """
        if self.takes_body:
            found: Q = self.request.from_body(body)  # type: ignore[attr-defined] # it has one
            return found
        return self.request(**{name: _value(name, hint, parameters) for name, hint in self._wanted(parameters)})

    def _wanted(self, parameters: Mapping[str, str]) -> list[tuple[str, Any]]:
        """Those that are given or needed, with their types."""
        needed = {field.name for field in attrs.fields(self.request) if field.default is attrs.NOTHING}  # type: ignore[arg-type]
        return [(name, hint) for name, hint in hints(self.request).items() if name in needed or name in parameters]


def _value(name: str, hint: Any, parameters: Mapping[str, str]) -> Any:
    """One parameter as its type wants it; "" for one that is needed and not given.

    :raises ValueError: it isn't such a value.
    """
    text = parameters.get(name, "")
    (kind,) = alternatives(hint)
    notes = get_args(kind)[1:] + get_args(hint)[1:]
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if kind is int:
        return _number(name, text, notes)
    if get_origin(kind) is Literal:
        return one_of(name, text, get_args(kind))
    return _member(name, text, kind) if issubclass(kind, enum.StrEnum) else text


def _member(name: str, text: str, kind: type[enum.StrEnum]) -> enum.StrEnum:
    try:
        return kind(text.lower().replace("_", "-"))
    except ValueError:
        raise ValueError(f"there is no {name} {text[:SHOWN]!r}{offered(text[:SHOWN], kind)}") from None


def _number(name: str, text: str, notes: tuple[Any, ...]) -> int:
    limits: dict[str, Any] = {}
    for note in notes:
        limits |= note.as_schema() if isinstance(note, Keywords) else {}
    most = limits.get("maximum", LARGEST)
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) > most:
        raise ValueError(f"{name} must be a number from 0 to {most}, not {text!r}")
    return int(text)


def one_of(name: str, given: object, values: Any) -> Any:
    """The one of these values that is given.

    :raises ValueError: none of them.
    """
    for value in values:
        if value == given:
            return value
    shown = given[:SHOWN] if isinstance(given, str) else given
    raise ValueError(f"{name} must be one of {', '.join(values)}, not {shown!r}")
