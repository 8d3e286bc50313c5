"""What is told of the certificates that a gateway has and trusts."""

from __future__ import annotations

import datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.tls import inventory
from seg.tls.inventory import server_file, trust_list
from tests.certificates import NOW, Authority, Issued, self_signed

DAY = datetime.timedelta(days=1)


class ServerFileTests(SynchronousTestCase):
    """The file of a listener."""

    def setUp(self) -> None:
        """A tree of three."""
        self.root = Authority.root()
        self.intermediate = self.root.intermediate()
        self.leaf = self.intermediate.leaf("mx.example", "*.mx.example")

    def problems(self, issued: Issued, now: datetime.datetime = NOW) -> list[str]:
        """What is wrong with it, without the names of files."""
        folder = self.mktemp()
        Path(folder).mkdir()
        certificate, key = issued.write(folder)
        return [text.replace(f"{certificate}: ", "") for text in server_file(certificate, key, now).problems]

    def test_good(self) -> None:
        """The chain from the leaf up, names, dates, days left."""
        folder = self.mktemp()
        Path(folder).mkdir()
        found = server_file(*self.leaf.write(folder), NOW)
        self.assertEqual(found.problems, ())
        self.assertEqual([each.subject for each in found.chain], ["CN=mx.example", "CN=Test Intermediate"])
        leaf = found.chain[0]
        self.assertEqual((leaf.issuer, leaf.days_left), ("CN=Test Intermediate", 80))
        self.assertEqual(leaf.names, ("mx.example", "*.mx.example"))
        self.assertEqual((leaf.not_after, len(leaf.sha256)), ((NOW + 80 * DAY).isoformat(), 64))

    def test_problems(self) -> None:
        """Each fault in words."""
        alone = Issued(self.leaf.certificate, self.leaf.key)
        wrong = Issued(
            self.leaf.certificate, self.leaf.key, (Authority.root("Other").certificate, self.root.certificate)
        )
        key = Issued(self.leaf.certificate, self.root.key, self.leaf.issuers)
        self.assertEqual(self.problems(self_signed("mx.example")), [])
        for issued, now, wanted in (
            (alone, NOW, "no intermediate certificate: peers may not find the way from CN=Test Intermediate to a root"),
            (wrong, NOW, "CN=mx.example isn't issued by the certificate behind it, CN=Other"),
            (self.leaf, NOW + 70 * DAY, "CN=mx.example ends in 10 days"),
            (key, NOW, "can't be used with certificate"),
            (self.leaf, NOW + 81 * DAY, "expired"),
        ):
            self.assertIn(wanted, "\n".join(self.problems(issued, now)))

    def test_unreadable(self) -> None:
        """A file that isn't there, or isn't PEM."""
        self.assertIn("No such file", server_file("/nowhere.pem", "", NOW).problems[0])
        path = Path(self.mktemp())
        path.write_text("nothing")
        self.assertIn("no usable PEM certificate", server_file(str(path), "", NOW).problems[0])

    def test_unreadable_field(self) -> None:
        """A field that can't be read is told, of a server's certificate and of a root, and the rest goes on."""

        def broken(certificate: object, now: object) -> None:
            raise ValueError("year 10000")

        folder = Path(self.mktemp())
        folder.mkdir()
        files = self.leaf.write(folder)
        self.patch(inventory, "listed", broken)
        self.assertEqual(server_file(*files, NOW).problems, (f"{files[0]}: year 10000",))
        found = trust_list(files[0], NOW)
        self.assertEqual((found.roots, found.problems[0]), ((), "CN=mx.example: year 10000"))


class TrustListTests(SynchronousTestCase):
    """The files of roots."""

    def test_list(self) -> None:
        """Those that end first come first; what can't be used is told; a missing file too."""
        early, late = Authority.root("Early", days=(-10, 5)), Authority.root("Late")
        path = Path(self.mktemp())
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        path.write_bytes(late.pem() + broken + early.pem())
        found = trust_list(str(path), NOW)
        self.assertEqual([(root.subject, root.days_left) for root in found.roots], [("CN=Early", 5), ("CN=Late", 3650)])
        self.assertIn("certificate 2 can't be used", found.problems[0])
        self.assertIn("No such file", trust_list("/nowhere.pem", NOW).problems[0])
