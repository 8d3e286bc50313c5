"""The gateway sends to Postfix."""

from __future__ import annotations

from tests.interop.out_case import OutCase
from tests.interop.servers.postfix import Postfix


class PostfixTests(OutCase):
    """As it is installed."""

    server = Postfix
    chunking = True
    dsn = True
    auth = False


del OutCase
