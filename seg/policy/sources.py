"""The names of our own policy providers: in configuration, decisions, logs, and the API."""

from __future__ import annotations

from typing import Final

DANE: Final = "dane"
MTA_STS: Final = "mta-sts"
STATIC: Final = "static"  # the operator's TLS option
OWN: Final = (DANE, MTA_STS, STATIC)
