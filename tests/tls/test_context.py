"""Tests for `seg.tls.context`: handshakes in memory, sessions, and the listener's files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.common.errors import ConfigurationError
from seg.tls.context import ClientTLS, _presented, server_context, session_facts
from seg.tls.peer import PeerCertificates, TLSVersion
from tests.certificates import NOW, Authority, Issued, self_signed
from tests.tls.handshake import ServerTLS, shake

ROOT = Authority.root()
LEAF = ROOT.intermediate().leaf("mx.example.com")


def server(issued: Issued, *, extra: int = 0, newest: int = 0) -> tuple[ServerTLS, list[bytes | None]]:
    """A server with a certificate (and `extra` needless ones), and the server names it is asked for."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_privatekey(issued.key)
    context.use_certificate(issued.certificate)
    for certificate in (*issued.issuers[:-1], *(ROOT.certificate,) * extra):
        context.add_extra_chain_cert(certificate)
    context.set_session_id(b"test")
    if newest:
        context.set_max_proto_version(newest)
    seen: list[bytes | None] = []
    context.set_tlsext_servername_callback(lambda connection: seen.append(connection.get_servername()))
    return ServerTLS(context), seen


class ClientTests(SynchronousTestCase):
    """Outgoing TLS: everything shakes hands, and what was presented is reported."""

    def setUp(self) -> None:
        self.tls = ClientTLS(sessions=3)

    def test_facts(self) -> None:
        """Version, cipher and the presented chain, the leaf first, of a server that nobody vouches for."""
        creator = self.tls.creator("mx.example.com", "192.0.2.1:25")
        verifyObject(IOpenSSLClientConnectionCreator, creator)
        listener, seen = server(LEAF)
        client, _ = shake(creator, listener)
        facts = session_facts(client, "mx.example.com")
        self.assertEqual((facts.tls, facts.version, facts.sni), (True, "TLSv1.3", "mx.example.com"))
        self.assertTrue(facts.cipher.startswith("TLS_"))
        self.assertEqual((facts.peer.chain, facts.peer.fault, facts.resumed), (LEAF.chain, "", False))
        self.assertEqual(set(seen), {b"mx.example.com"})

    def test_server_name(self) -> None:
        """SNI holds A-labels, and is left out for addresses and for what is no host name."""
        for sni, sent in (
            ("MX.bücher.example", b"mx.xn--bcher-kva.example"),
            ("192.0.2.1", None),
            ("::1", None),
            ("", None),
        ):
            listener, seen = server(LEAF)
            shake(self.tls.creator(sni, "192.0.2.1:25"), listener)
            self.assertEqual(set(seen), {sent})  # twice when the server asks for another group

    def test_resumption(self) -> None:
        """A session is resumed once, and shows the chain again; another peer or name doesn't get it."""
        for newest in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            tls = ClientTLS()
            listener, _ = server(LEAF, newest=newest)
            first, _ = shake(tls.creator("mx.example.com", "a"), listener)
            tls.remember(first, "mx.example.com", "a")
            results = []
            for sni, peer in (
                ("other.example.com", "a"),
                ("mx.example.com", "b"),
                ("mx.example.com", "a"),
                ("mx.example.com", "a"),
            ):
                client, _ = shake(tls.creator(sni, peer), listener)
                facts = session_facts(client, sni)
                results.append(facts.resumed)
                self.assertEqual((facts.peer.chain, facts.peer.fault), (LEAF.chain, ""))
            self.assertEqual(results, [False, False, True, False])

    def test_several_sessions_of_a_peer(self) -> None:
        """As many connections can resume as sessions were kept, the newest session first; without a handshake there is none."""
        listener, _ = server(LEAF)
        # OpenSSL spoils the session of a connection that is dropped without a farewell: keep them.
        connections = [shake(self.tls.creator("mx.example.com", "a"), listener)[0] for _ in range(2)]
        for client in connections:
            self.tls.remember(client, "mx.example.com", "a")
        self.assertEqual(len(self.tls._sessions), 2)
        resumed = []
        for _ in range(3):
            client, _ = shake(self.tls.creator("mx.example.com", "a"), listener)
            resumed.append(session_facts(client, "").resumed)
        self.assertEqual(resumed, [True, True, False])
        fresh = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.remember(fresh, "mx.example.com", "a")
        self.assertEqual(len(self.tls._sessions), 0)

    def test_unreadable_chain(self) -> None:
        """A chain that can't even be taken from the connection is a fault that no examination passes."""

        class Broken:
            def get_peer_cert_chain(self, as_cryptography: bool) -> None:
                raise ValueError("not\nDER")

        fault = _presented(cast(SSL.Connection, Broken()), resumed=False).fault
        self.assertEqual(fault, "certificate can't be read: not?DER")

    def test_sessions_are_bounded(self) -> None:
        """The cache keeps a few sessions of a few peers, the newest."""
        listener, _ = server(LEAF)
        for peer in ("a", "b", "c", "d"):
            for _ in range(6):
                client, _ = shake(self.tls.creator("mx.example.com", "fresh"), listener)
                self.tls.remember(client, "mx.example.com", peer)
        self.assertEqual(len(self.tls._sessions), 12)
        client, _ = shake(self.tls.creator("mx.example.com", "a"), listener)
        self.assertFalse(session_facts(client, "").resumed)

    def test_minimum_version(self) -> None:
        """With TLS 1.3 required a server that stops at 1.2 doesn't get a session."""
        listener, _ = server(LEAF, newest=SSL.TLS1_2_VERSION)
        client, _ = shake(self.tls.creator("mx.example.com", "a"), listener)
        self.assertEqual(session_facts(client, "").version, "TLSv1.2")
        self.assertRaises(SSL.Error, shake, self.tls.creator("mx.example.com", "a", TLSVersion.TLS1_3), listener)

    def test_endless_chain(self) -> None:
        """A server that sends too many certificates can't be judged, and so won't be accepted."""
        listener, _ = server(LEAF, extra=40)
        client, _ = shake(self.tls.creator("mx.example.com", "a"), listener)
        peer = session_facts(client, "").peer
        self.assertEqual((len(peer.chain), peer.fault), (32, "the server sent more than 32 certificates"))

    def test_resumed_session_without_a_chain(self) -> None:
        """A resumed session that lost its certificates says so, and so won't be accepted."""

        class Forgetful:
            def get_peer_cert_chain(self, as_cryptography: bool) -> None:
                return None

        connection = cast(SSL.Connection, Forgetful())
        self.assertEqual(_presented(connection, resumed=False), PeerCertificates())
        fault = _presented(connection, resumed=True).fault
        self.assertEqual(fault, "the resumed session has no certificates to judge")


class ServerTests(SynchronousTestCase):
    """The files of a listener's certificate."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        os.makedirs(self.folder)

    def _problem(self, certificate: str, key: str = "") -> str:
        error = self.assertRaises(ConfigurationError, server_context, certificate, key, NOW)
        self.assertEqual(len(error.problems), 1)
        return error.problems[0]

    def test_good(self) -> None:
        """Certificate, intermediates and key are used; one file may hold them all."""
        certificate, key = LEAF.write(self.folder)
        both = self.folder / "both.pem"
        both.write_bytes(LEAF.key_pem() + LEAF.pem())
        for listener in (server_context(certificate, key, NOW), server_context(str(both), now=NOW)):
            client, _ = shake(ClientTLS().creator("mx.example.com", "a"), ServerTLS(listener))
            self.assertEqual(session_facts(client, "").peer.chain, LEAF.chain)

    def test_missing(self) -> None:
        """A missing file is named."""
        certificate, _ = LEAF.write(self.folder)
        self.assertEqual(self._problem("none.pem"), "none.pem: can't be read: No such file or directory")
        self.assertEqual(self._problem(certificate, "none.key"), "none.key: can't be read: No such file or directory")

    def test_wrong_key(self) -> None:
        """A key of another certificate is refused."""
        certificate, _ = LEAF.write(self.folder)
        _, other = ROOT.leaf("other").write(self.folder, "other")
        self.assertIn("can't be used with certificate CN=mx.example.com", self._problem(certificate, other))

    def test_not_pem(self) -> None:
        """Files without certificate or key say so; nobody is asked for a password on a terminal."""
        certificate, key = LEAF.write(self.folder)
        self.assertIn("no usable PEM certificate", self._problem(key))
        self.assertIn("no usable private key", self._problem(certificate, certificate))
        locked = self.folder / "locked.key"
        locked.write_bytes(LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
        self.assertIn("without a password", self._problem(certificate, str(locked)))

    def test_dates(self) -> None:
        """An expired certificate, and one of the future, are refused with the date."""
        certificate, key = self_signed("old.example.com", days=(-20, -10)).write(self.folder)
        self.assertIn("CN=old.example.com expired on 2025-05-22 12:00:00 UTC", self._problem(certificate, key))
        certificate, key = self_signed("new.example.com", days=(10, 20)).write(self.folder)
        self.assertIn("CN=new.example.com is valid only from 2025-06-11", self._problem(certificate, key))
