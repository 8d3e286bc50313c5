"""The gateway sends to Haraka."""

from __future__ import annotations

from tests.interop.out_case import OutCase
from tests.interop.servers.haraka import Haraka


class HarakaTests(OutCase):
    """From npm."""

    server = Haraka
    versions = False

    def as_sent(self, name: str, found: bytes) -> bytes:
        """It breaks lines of more than 990 octets by itself (``data_line_length``)."""
        return found.replace(b"\r\n ", b"") if name in ("octets998", "longer", "field") else found


del OutCase
