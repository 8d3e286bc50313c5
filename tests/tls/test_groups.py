"""Key exchange groups: what a client hello offers, what is agreed upon, and who gets classical ones only."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from typing import cast

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.schema import TLS
from seg.config.syntax import check_groups
from seg.tls.context import ClientIdentity, ClientTLS, server_context, session_facts
from seg.tls.groups import MOST_PEERS, REMEMBERED, ClassicalPeers, group_of
from seg.tls.parameters import OUTBOUND, Parameters, inbound
from tests.certificates import NOW, Authority
from tests.tls.handshake import ServerTLS, shake

SEGMENT = 1220  # octets: what every path of IPv6 carries in one piece, and about what one of IPv4 does
NAME = "a-rather-long-name-of-a-mail-host." * 5 + "example"


def hello(tls: ClientTLS, **options: object) -> bytes:
    """The first flight of a client."""
    connection = tls.creator(NAME, "192.0.2.1:25", **options).clientConnectionForTLS(None)  # type: ignore[arg-type]
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(65536)


class GroupsTests(SynchronousTestCase):
    """`Parameters.groups`, in handshakes."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.pair = Authority.root().leaf("mx.example").write(folder)

    def agreed(self, client: Parameters, server: Parameters) -> str:
        """The group of a handshake."""
        context = server_context(*self.pair, NOW, server)
        connection, _ = shake(ClientTLS(parameters=client).creator("mx.example", "a"), ServerTLS(context))
        return session_facts(connection, "mx.example").group.lower()

    def test_one_segment(self) -> None:
        """By default a client hello fits in one segment, with a client certificate too; a post-quantum share first would make it two."""
        for tls in (ClientTLS(), ClientTLS(parameters=OUTBOUND)):
            self.assertLess(len(hello(tls)), SEGMENT / 2)
            self.assertIn(b"\x11\xec", hello(tls))  # offered all the same
            self.assertNotIn(b"\x11\xec", hello(tls, classical=True))
        now = datetime.datetime.now(datetime.UTC)
        identity = ClientIdentity(
            *Authority.root(now=now).leaf("gw.example", now=now).write(Path(self.pair[0]).parent, "own")
        )
        self.assertLess(len(hello(ClientTLS(), identity=identity)), SEGMENT / 2)
        self.assertGreater(len(hello(ClientTLS(parameters=Parameters(groups="X25519MLKEM768:X25519")))), SEGMENT)

    def test_agreed(self) -> None:
        """A server that wants a post-quantum group gets it; either side's list decides."""
        self.assertEqual(self.agreed(OUTBOUND, Parameters(groups="X25519MLKEM768")), "x25519mlkem768")
        self.assertEqual(self.agreed(OUTBOUND, inbound(TLS(inbound_groups="P-384"))), "secp384r1")
        self.assertEqual(self.agreed(Parameters(groups="P-521"), Parameters()), "secp521r1")

    def test_classical(self) -> None:
        """The second offer is the first one without post-quantum groups; there is none where that leaves nothing, or changes nothing."""
        classical = OUTBOUND.classical
        assert classical is not None
        self.assertEqual(classical.groups, "X25519:P-256:P-384:P-521")
        for groups in ("", "X25519", "X25519MLKEM768", "X25519MLKEM768:SecP256r1MLKEM768"):
            self.assertIsNone(Parameters(groups=groups).classical)

    def test_names(self) -> None:
        """A name that is none is a fault of the configuration, where the file is read; a group that only OpenSSL lacks is left out."""
        for text in ("X25519:", "x25519 P-256", "P256", "?X25519", "ECDHE"):
            self.assertRaises(ValueError, check_groups, text)
        check_groups("X25519:p-256:secp384r1:ffdhe2048:X25519MLKEM768")
        self.assertRaises(ConfigurationError, ClientTLS, parameters=Parameters(groups="FUTURE"))
        self.assertEqual(self.agreed(Parameters(groups="FUTURE:P-256"), Parameters()), "secp256r1")

    def test_remembered(self) -> None:
        """A host is remembered for a day from when it was found so, and no more than so many are."""
        peers = ClassicalPeers()
        peers.add("a", 100.0)
        peers.add("a", 500.0)
        self.assertTrue(peers.has("a", 99.0 + REMEMBERED))
        self.assertFalse(peers.has("a", 100.0 + REMEMBERED))
        self.assertFalse(peers.has("b", 0.0))
        for number in range(MOST_PEERS + 10):
            peers.add(str(number), 1.0)
        self.assertEqual(len(peers), MOST_PEERS)
        self.assertFalse(peers.has("0", 1.0))

    def test_old_library(self) -> None:
        """Where the library can't say which group was agreed on, nothing is said; the handshake is as good as ever."""

        class Old:
            def get_group_name(self) -> str:
                raise NotImplementedError

        self.assertEqual(group_of(cast(SSL.Connection, Old())), "")
