"""The rows of the corpora: records, policies and patterns as people publish them, with what has to come of them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of one file."""
    with open(DATA / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def policy_body(row: dict[str, Any]) -> bytes:
    """The body of a policy row; big ones are made from their parts."""
    if "policy_b64" in row:
        return base64.b64decode(row["policy_b64"])
    parts = row["policy_gen"]
    prefix, unit, suffix = (base64.b64decode(parts[f"{part}_b64"]) for part in ("prefix", "unit", "suffix"))
    return prefix + unit * parts["count"] + suffix
