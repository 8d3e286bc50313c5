"""The gateway sends to Exim."""

from __future__ import annotations

from tests.interop.out_case import OutCase
from tests.interop.servers.exim import Exim


class EximTests(OutCase):
    """Debian's light daemon."""

    server = Exim
    chunking = True
    dsn = True


del OutCase
