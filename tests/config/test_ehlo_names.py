"""A name that other servers refuse in EHLO is told at the start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.config.ehlo_names import unfit_names
from seg.config.load import parse_destinations

PLAIN = parse_destinations("")


class NameTests(SynchronousTestCase):
    """`unfit_names`."""

    def test_host_name(self) -> None:
        """No dot, a name that every machine has, an address: one line that says what to do; a full name: none."""
        for name, why in {
            "mail": "has no dot",
            "mail.": "has no dot",
            "localhost": "is that of every machine",
            "LOCALHOST.": "is that of every machine",
            "mail.localhost": "is that of every machine",
            "localhost.localdomain": "is that of every machine",
            "192.0.2.1": "is an address",
            "[192.0.2.1]": "is an address",
            "[IPv6:2001:db8::1]": "is an address",
            "": "has no dot",
        }.items():
            (line,) = unfit_names(name, PLAIN)
            self.assertIn(f'"{name}" {why}: ', line)
            self.assertIn("set [gateway] hostname", line)
        for name in ("mx.example.org", "mail.example.", "mx1.xn--bcher-kva.example"):
            self.assertEqual(list(unfit_names(name, PLAIN)), [])

    def test_names_of_destinations(self) -> None:
        """The same for each `ehlo_name`, once for the entry that sets it."""
        text = (
            '[default]\nehlo_name = "mail"\n[destination."a.example"]\ntls = "required"\n'
            '[destination."b.example"]\nehlo_name = "localhost"\n[destination."c.example"]\nehlo_name = "mx.example.org"\n'
        )
        lines = list(unfit_names("mx.example.org", parse_destinations(text)))
        self.assertEqual(
            [line.split(" in destinations.toml")[0] for line in lines],
            ['ehlo_name "mail" of Default', 'ehlo_name "localhost" of b.example'],
        )
