"""The gateway sends to a server made of aiosmtpd."""

from __future__ import annotations

from tests.interop.out_case import OutCase
from tests.interop.servers.aiosmtpd import Aiosmtpd


class AiosmtpdTests(OutCase):
    """Lines above 1,001 octets it refuses with 500 behind the final dot."""

    server = Aiosmtpd
    refused = frozenset({"longer", "field"})


del OutCase
