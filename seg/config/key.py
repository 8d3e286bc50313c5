"""How the sections of the configuration say what a key is."""

from __future__ import annotations

from typing import Any

import attrs


def key(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
) -> Any:
    """One key of the configuration: its default, what it is for, its unit and the range allowed.

    The value of a `secret` key is shown nowhere: not in messages, nor in the repr of its section.
    """
    metadata = {"doc": doc, "unit": unit, "low": low, "high": high, "secret": secret}
    shown = _hidden if secret else True
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return attrs.field(factory=default.factory, metadata=metadata, repr=shown)
    return attrs.field(default=default, metadata=metadata, repr=shown)


def _hidden(value: Any) -> str:
    """What a repr shows of a secret: only whether there is one."""
    return "'***'" if value else "''"
