"""Protocols and ciphers of each direction."""

from __future__ import annotations

from pathlib import Path

import attrs
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.schema import TLS, TLSMinimum
from seg.tls.context import ClientTLS, server_context
from seg.tls.parameters import OUTBOUND, USUAL, Parameters, inbound, outbound
from seg.tls.peer import TLSVersion
from tests.certificates import NOW, Authority
from tests.tls.handshake import ServerTLS, shake

CHACHA = "ECDHE+CHACHA20"
ONLY_1_3 = Parameters(TLSVersion.TLS1_3)


class ParametersTests(SynchronousTestCase):
    """`Parameters`, in handshakes."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.pair = Authority.root().leaf("mx.example").write(folder)

    def agreed(self, client: Parameters, server: Parameters, highest: int = SSL.TLS1_3_VERSION) -> tuple[str, str]:
        """Version and cipher of a handshake with a server that goes up to a version."""
        context = server_context(*self.pair, NOW, server)
        context.set_max_proto_version(highest)
        connection, _ = shake(ClientTLS(parameters=client).creator("mx.example", "a"), ServerTLS(context))
        return connection.get_protocol_version_name(), connection.get_cipher_name() or ""

    def test_settings(self) -> None:
        """Each direction has its own keys; nothing set is TLS 1.2 and OpenSSL's ciphers."""
        tls = TLS(inbound_min_version=TLSMinimum.TLS1_3, outbound_ciphers=CHACHA)
        self.assertEqual(inbound(tls), ONLY_1_3)
        self.assertEqual(outbound(tls), attrs.evolve(OUTBOUND, ciphers=CHACHA))
        self.assertEqual((inbound(TLS()), outbound(TLS())), (USUAL, OUTBOUND))

    def test_ciphers(self) -> None:
        """Either side's list decides on the cipher of TLS 1.2."""
        for client, server in ((Parameters(ciphers=CHACHA), USUAL), (USUAL, Parameters(ciphers=CHACHA))):
            version, cipher = self.agreed(client, server, SSL.TLS1_2_VERSION)
            self.assertEqual(version, "TLSv1.2")
            self.assertIn("CHACHA20", cipher)

    def test_version(self) -> None:
        """A side that wants TLS 1.3 gets it, or nothing."""
        self.assertEqual(self.agreed(ONLY_1_3, USUAL)[0], "TLSv1.3")
        self.assertEqual(self.agreed(USUAL, ONLY_1_3)[0], "TLSv1.3")
        self.assertRaises(SSL.Error, self.agreed, ONLY_1_3, USUAL, SSL.TLS1_2_VERSION)

    def test_policy_wants_more(self) -> None:
        """What a policy demands is never lowered by the operator's minimum, and the other way round."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        USUAL.apply(context, TLSVersion.TLS1_3)
        creator = ClientTLS().creator("mx.example", "a", TLSVersion.TLS1_3)
        server = server_context(*self.pair, NOW)
        server.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.assertRaises(SSL.Error, shake, creator, ServerTLS(server))

    def test_unknown_ciphers(self) -> None:
        """A list that OpenSSL can't use is a fault of the configuration."""
        error = self.assertRaises(ConfigurationError, ClientTLS, parameters=Parameters(ciphers="NONSENSE"))
        self.assertIn("knows none of the ciphers 'NONSENSE'", error.problems[0])
