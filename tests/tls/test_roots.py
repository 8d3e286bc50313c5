"""Tests for `seg.tls.roots`."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.tls import roots as roots_module
from seg.tls.roots import RootStore, load_roots, system_list
from tests.certificates import DAY, NOW, Authority

BROKEN = b"-----BEGIN CERTIFICATE-----\nMIIBroken\n-----END CERTIFICATE-----\n"


class RootTests(SynchronousTestCase):
    """Reading the operator's list of roots."""

    def setUp(self) -> None:
        self.one, self.other = Authority.root("One"), Authority.root("Other")

    def _write(self, *entries: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(b"# a comment\n" + b"".join(entries))
        return str(path)

    def _pem(self, authority: Authority) -> bytes:
        return authority.certificate.public_bytes(Encoding.PEM)

    def test_broken_entry(self) -> None:
        """A broken entry is reported by its position, and the others are used."""
        path = self._write(self._pem(self.one), BROKEN, self._pem(self.other))
        roots = load_roots(path)
        self.assertEqual(roots.anchors, (self.one.certificate, self.other.certificate))
        self.assertEqual(len(roots.problems), 1)
        self.assertIn(f"{path}: certificate 2 can't be used", roots.problems[0])

    def test_extra_file(self) -> None:
        """The extra file adds to the list; what is in both counts once."""
        roots = load_roots(self._write(self._pem(self.one)), self._write(self._pem(self.other), self._pem(self.one)))
        self.assertEqual(roots.anchors, (self.one.certificate, self.other.certificate))

    def test_paths_kept_are_bounded(self) -> None:
        """Of the good paths found only so many are kept, the newest ones."""
        self.patch(roots_module, "_PATHS_KEPT", 2)
        roots = RootStore((self.one.certificate,))
        chains = [(self.one.leaf(f"mx{number}.example").certificate,) for number in range(3)]
        for chain in chains:
            roots.remember(chain, (*chain, self.one.certificate))
        self.assertEqual([bool(roots.proven(chain, NOW)) for chain in chains], [False, True, True])
        self.assertEqual(roots.proven(chains[1], NOW + 200 * DAY), ())

    def test_missing_file(self) -> None:
        """A file that can't be read stops the start, with its path."""
        error = self.assertRaises(ConfigurationError, load_roots, "no/such/file.pem")
        self.assertIn("no/such/file.pem: list of trusted roots can't be read", error.problems[0])

    def test_nothing_usable(self) -> None:
        """A list without one usable root stops the start, and the broken entries are named."""
        error = self.assertRaises(ConfigurationError, load_roots, self._write(BROKEN))
        self.assertEqual(len(error.problems), 2)
        self.assertIn("certificate 1", error.problems[0])

    def test_system_list(self) -> None:
        """Without a file of the operator's own the system's list is used."""
        if not system_list():
            self.skipTest("this system has no list of roots")
        self.assertGreater(len(load_roots().anchors), 10)
