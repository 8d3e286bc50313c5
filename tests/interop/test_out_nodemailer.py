"""The gateway sends to a server made of nodemailer's smtp-server."""

from __future__ import annotations

from tests.interop.out_case import OutCase
from tests.interop.servers.nodemailer import Nodemailer


class NodemailerTests(OutCase):
    """From npm."""

    server = Nodemailer


del OutCase
