"""A name that other servers refuse in EHLO is told at the start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.cli.setup_plan import hostname_fault
from seg.config.checks import form_fault
from seg.config.ehlo_names import unfit, unfit_names
from seg.config.load import parse_destinations
from seg.config.syntax import parse_domain

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
            "192.0.2.1": "is an IP address, not a host name",
            "[192.0.2.1]": "is an IP address, not a host name",
            "[IPv6:2001:db8::1]": "is an IP address, not a host name",
            "::1": "is an IP address, not a host name",
            "mail_1.example": "has an underscore, which no host name has",
            "": "has no dot",
        }.items():
            (line,) = unfit_names(name, PLAIN)
            self.assertIn(f'"{name}" {why}: ', line)
            self.assertIn("set [gateway] hostname", line)
        for name in ("mx.example.org", "mail.example.", "mx1.xn--bcher-kva.example"):
            self.assertEqual(list(unfit_names(name, PLAIN)), [])

    def test_everywhere(self) -> None:
        """What can't be a name at all is refused wherever one is set, and an address is called what it is; what others won't take `seg setup`
        doesn't take either."""
        for text, why in (
            ("10.0.0.1", "is an IP address, not a host name"),
            ("[10.0.0.1]", "is an IP address, not a host name"),
            ("2001:db8::1", "is an IP address, not a host name"),
            ("[IPv6:2001:db8::1]", "is an IP address, not a host name"),
            ("10.0.0.300", "is neither a host name nor an IP address"),
            ("mx example.com", "is not a host name"),
            ("-mx.example.com", "is not a host name"),
            ("mx..example.com", "is not a host name"),
        ):
            for section, key in (
                ("gateway", "hostname"),
                ("default", "ehlo_name"),
                ("destination", "ehlo_name"),
                ("submission", "domain"),
            ):
                self.assertIn(f'"{text}" {why}', form_fault(section, key, text))
            self.assertIn(f'"{text}" {why}', hostname_fault(text))
        for text in ("mail_1.example", "mail", "localhost", "mail.localdomain"):
            self.assertEqual(form_fault("gateway", "hostname", text), "")
            self.assertIn(unfit(text), hostname_fault(text))
        self.assertEqual(hostname_fault("mx.example.com."), "")
        self.assertIn("did you mean [10.0.0.1]?", str(self.assertRaises(ValueError, parse_domain, "10.0.0.1")))

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
