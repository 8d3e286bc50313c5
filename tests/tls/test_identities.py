"""The certificates that we show to other servers."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.tls.context import ClientIdentity, ClientTLS, server_context
from seg.tls.identities import ClientIdentities
from seg.tls.names import names_of
from tests.certificates import Authority
from tests.tls.handshake import ServerTLS, shake

NOW = datetime.datetime.now(datetime.UTC)
ROOT = Authority.root(now=NOW)


class IdentityTests(SynchronousTestCase):
    """`ClientIdentity` and `ClientIdentities`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        context = server_context(*ROOT.leaf("mx.example", now=NOW).write(self.folder))
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        self.server = ServerTLS(context)

    def seen(self, tls: ClientTLS, identity: ClientIdentity | None) -> tuple[str, ...]:
        """The names in the certificate that a server is shown; () for none."""
        _, server = shake(tls.creator("mx.example", "a", identity=identity), self.server)
        shown: x509.Certificate | None = server.get_peer_certificate(as_cryptography=True)
        return names_of(shown) if shown else ()

    def test_shown(self) -> None:
        """A server that asks sees the certificate with its intermediates; without an identity it sees none."""
        files = ROOT.intermediate(now=NOW).leaf("gw.example", now=NOW).write(self.folder, "client")
        tls, identity = ClientTLS(), ClientIdentity(*files)
        self.assertEqual(self.seen(tls, identity), ("gw.example",))
        self.assertEqual(self.seen(tls, None), ())

    def test_renewed(self) -> None:
        """A changed file is seen and taken up; a broken one changes nothing. The mark, by which TLS sessions are kept apart, follows."""
        files = ROOT.leaf("old.example", now=NOW).write(self.folder, "client")
        identity = ClientIdentity(*files)
        first = identity.mark
        self.assertFalse(identity.changed())
        ROOT.leaf("new.example", "more.example", now=NOW).write(self.folder, "client")
        self.assertTrue(identity.changed())
        identity.load()
        self.assertEqual(self.seen(ClientTLS(), identity), ("new.example", "more.example"))
        self.assertNotEqual(identity.mark, first)
        os.unlink(files[1])
        self.assertTrue(identity.changed())
        self.assertRaises(ConfigurationError, identity.load)
        self.assertEqual(self.seen(ClientTLS(), identity)[0], "new.example")

    def test_unusable(self) -> None:
        """A file that isn't there, a key that doesn't fit, a date that is over: told with the file's name."""
        certificate, _ = ROOT.leaf("gw.example", now=NOW).write(self.folder, "client")
        _, other = ROOT.leaf("other.example", now=NOW).write(self.folder, "other")
        old = ROOT.leaf("old.example", now=NOW - datetime.timedelta(days=1000)).write(self.folder, "old")
        for files, fault in (
            (("/nowhere", ""), "/nowhere: can't be read"),
            ((certificate, other), "can't be used with certificate CN=gw.example"),
            ((certificate, ""), "no usable private key"),
            (old, "old.pem: "),
        ):
            error = self.assertRaises(ConfigurationError, ClientIdentity, *files)
            self.assertIn(fault, error.problems[0])

    def test_replaced(self) -> None:
        """A new configuration keeps those that it names too, reads the others, and forgets the rest."""
        one = ROOT.leaf("one.example", now=NOW).write(self.folder, "one")
        two = ROOT.leaf("two.example", now=NOW).write(self.folder, "two")
        identities = ClientIdentities()
        identities.replace(identities.prepared([one]))
        kept = identities.get(one)
        self.assertRaises(ConfigurationError, identities.prepared, [one, ("/nowhere", "")])
        identities.replace(identities.prepared([one, two]))
        self.assertIs(identities.get(one), kept)
        identities.replace(identities.prepared([two]))
        self.assertIsNone(identities.get(one))
        self.assertIsNone(identities.get(("", "")))
        self.assertEqual(list(identities.renewable()), [f"certificate {two[0]}"])
