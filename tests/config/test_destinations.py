"""Destination files: inheritance, names, TLS combinations, routes, and how faults are told."""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.destinations import MOST_KEPT, DANEMode, Destinations, NextHop, STSMode, TLSOption
from seg.config.load import parse_destinations
from seg.config.schema import QueueSettings


def problems(text: str) -> list[str]:
    """The faults of a text, without the file's name."""
    try:
        parse_destinations(text, "f")
    except ConfigurationError as error:
        return [line.removeprefix("f:") for line in error.problems]
    return []


NEEDS_TLS = "it needs TLS; set tls to preferred or more, or"
FAULTS = {
    "unknown table": ("[defualt]\n", "1: [defualt]: unknown table; did you mean default?"),
    "domain at the top": (
        '["example.com"]\n',
        '1: ["example.com"]: unknown table; a destination is written [destination."example.com"]',
    ),
    "no quotes": (
        "[destination.mail.example.com]\ntls = 1\n",
        '1: [destination.mail]: quote the domain: [destination."mail.example.com"]',
    ),
    "no table": (
        "[destination]\n'example.com' = 3\n",
        '2: [destination."example.com"]: wants a table of its own: [destination."example.com"]',
    ),
    "unknown key": (
        '[destination."a.test"]\ndnae = "none"\n',
        '2: [destination."a.test"] dnae: unknown key; did you mean dane?',
    ),
    "twice": (
        '[destination."B\u00fccher.test"]\n[destination."xn--bcher-kva.TEST"]\n',
        '2: [destination."xn--bcher-kva.TEST"]: is there twice: "B\u00fccher.test" and '
        '"xn--bcher-kva.TEST" are both xn--bcher-kva.test',
    ),
    "word": (
        '[destination."a.test"]\ntls = "required-verfy"\n',
        '2: [destination."a.test"] tls: "required-verfy" isn\'t one of: required-verify, '
        "required-verify-hosted, preferred-verify, "
        "required, preferred, no (or 1 to 6)",
    ),
    "number": (
        '[destination."a.test"]\ntls = 7\n',
        '2: [destination."a.test"] tls: 7 isn\'t one of: no, preferred, required, '
        "preferred-verify, required-verify, "
        "required-verify-hosted (or 1 to 6)",
    ),
    "boolean": (
        '[destination."a.test"]\ntls = true\n',
        '2: [destination."a.test"] tls: wants one of no, preferred, required, preferred-verify, '
        "required-verify, "
        "required-verify-hosted, or 1 to 6; found the boolean true",
    ),
    "limit": (
        "[default]\nconcurrent_connections = 0\n",
        "2: [default] concurrent_connections: 0 is out of range; it must be from 1 to 1000",
    ),
    "name": ('[destination."a b.test"]\n', '1: [destination."a b.test"]: "a b.test" is not a host name'),
    "default by name": (
        "[destination.Default]\n",
        "1: [destination.Default]: is no domain; the default profile is [default]",
    ),
    "dane without tls": (
        '[destination."a.test"]\ntls = "no"\ndane = "mandatory"\n',
        f'3: [destination."a.test"] dane: "mandatory" can\'t work with tls = "no": {NEEDS_TLS} dane to "none"',
    ),
    "sts without tls": (
        '[default]\nmta_sts = "on"\ntls = "no"\n',
        f'2: [default] mta_sts: "on" can\'t work with tls = "no": {NEEDS_TLS} mta_sts to "off"',
    ),
    "dane below a default without tls": (
        '[default]\ntls = "no"\n[destination."a.test"]\ndane = "mandatory"\n',
        '4: [destination."a.test"] dane: "mandatory" can\'t work with tls = "no", which is '
        "inherited from [default]: "
        f'{NEEDS_TLS} dane to "none"',
    ),
    "empty route": (
        '[route."a.test"]\n',
        '1: [route."a.test"]: names no next hop; write hosts = ["relay.example.com:25"], or use_dns = true',
    ),
    "both": (
        '[route."a.test"]\nhosts = ["b"]\nuse_dns = true\n',
        '3: [route."a.test"] use_dns: with use_dns = true a route has no other key: the domain goes by its MX',
    ),
    "route key": (
        '[route."a.test"]\nhost = ["b"]\nuse_dns = true',
        '2: [route."a.test"] host: unknown key; did you mean hosts?',
    ),
    "hosts": (
        '[route."a.test"]\nhosts = "b"\n',
        '2: [route."a.test"] hosts: wants an array, such as ["relay.example.com:25"]',
    ),
    "host": (
        '[route."a.test"]\nhosts = ["b", "c d"]\n',
        '2: [route."a.test"] hosts[1]: "c d" is not a host name',
    ),
    "bad address": (
        '[route."a.test"]\nhosts = ["10.0.0.256"]\n',
        '2: [route."a.test"] hosts[0]: "10.0.0.256" is neither a host name nor an IP address',
    ),
    "port": (
        '[route."a.test"]\nhosts = ["b:0"]\n',
        '2: [route."a.test"] hosts[0]: "0" is not a port from 1 to 65535',
    ),
    "hop key": (
        '[route."a.test"]\nhosts = [{hots = "b"}]\n',
        '2: [route."a.test"] hosts[0]: unknown key hots; did you mean host?',
    ),
    "name that breaks a line": (
        '["a\\nb"]\n',
        '1: ["a\\nb"]: unknown table; a destination is written [destination."a\\nb"]',
    ),
    "hop without host": (
        '[route."a.test"]\nhosts = [{port = 25}]\n',
        '2: [route."a.test"] hosts[0]: lacks host, a host name or an IP address',
    ),
    "hop port": (
        '[route."a.test"]\nhosts = [{host = "b", port = true}]\n',
        '2: [route."a.test"] hosts[0]: port wants a whole number from 1 to 65535',
    ),
    "exemption of all": (
        '[default]\nexemption = { until = 2026-12-31, reason = "x" }\n',
        '2: [default] exemption: is for one destination, never for all: put it into [destination."..."]',
    ),
    "exemption that is none": (
        '[destination."a.test"]\nexemption = 2026-12-31\n',
        '2: [destination."a.test"] exemption: wants { until = 2026-12-31, reason = "why, for whoever comes upon it later" }',
    ),
    "exemption without end": (
        '[destination."a.test"]\nexemption = { reason = "x" }\n',
        '2: [destination."a.test"] exemption.until: wants a date or a date and time without quotes: '
        "2026-12-31, 2026-12-31T18:00:00+01:00",
    ),
    "exemption until noon": (
        '[destination."a.test"]\nexemption = { until = 12:00:00, reason = "x" }\n',
        '2: [destination."a.test"] exemption.until: wants a date or a date and time without quotes: '
        "2026-12-31, 2026-12-31T18:00:00+01:00",
    ),
    "exemption for ever": (
        '[destination."a.test"]\nexemption = { until = 9999-12-31T23:59:59-05:00, reason = "x" }\n',
        '2: [destination."a.test"] exemption.until: wants a date or a date and time without quotes: '
        "2026-12-31, 2026-12-31T18:00:00+01:00",
    ),
    "exemption without reason": (
        '[destination."a.test"]\nexemption = { until = 2026-12-31, reason = " " }\n',
        '2: [destination."a.test"] exemption.reason: wants a reason in one line of at most 200 characters',
    ),
    "exemption key": (
        '[destination."a.test"]\nexemption = { until = 2026-12-31, reason = "x", untill = 1 }\n',
        '2: [destination."a.test"] exemption.untill: unknown key; did you mean until?',
    ),
    "monitor without TLS": (
        '[destination."a.test"]\ntls = "no"\ndane = "monitor"\n',
        '3: [destination."a.test"] dane: "monitor" can\'t work with tls = "no": it needs TLS; set tls to preferred or more, '
        'or dane to "none"',
    ),
    "bounce profile that isn't there": (
        '[bounce_profile."patient"]\nlifetime = "7d"\n[destination."a.test"]\nbounce_profile = "patent"\n',
        '4: [destination."a.test"] bounce_profile: there is no [bounce_profile."patent"]; did you mean patient?',
    ),
    "bounce profile's key": (
        '[bounce_profile."patient"]\nlife = "7d"\n',
        "2: [bounce_profile.patient] life: unknown key; did you mean lifetime?",
    ),
    "bounce profile of the spool": (
        '[bounce_profile."patient"]\nmemory = 5\n',
        "2: [bounce_profile.patient] memory: concerns the whole spool; it belongs into [queue] of seg.toml",
    ),
    "bounce profile in contradiction": (
        '[bounce_profile."patient"]\nmax_retry = 10\n',
        "2: [bounce_profile.patient] max_retry: the longest wait (10 s) is shorter than first_retry (60 s)",
    ),
    "bounce profile that is none": (
        "bounce_profile.patient = 5\n",
        '1: [bounce_profile.patient]: wants a table of its own: [bounce_profile."patient"]',
    ),
    "mx of an address": (
        '[route."a.test"]\nhosts = [{host = "::1", use_mx = true}]\n',
        '2: [route."a.test"] hosts[0]: use_mx makes no sense for an IP address (::1)',
    ),
}


class FaultTests(SynchronousTestCase):
    """Each kind of fault, as the line that an operator sees."""

    def test_each_fault_is_one_line(self) -> None:
        """Each fault names line, entry, key and what to do."""
        for name, (text, line) in FAULTS.items():
            self.assertEqual(problems(text), [line], name)


class ProfileTests(SynchronousTestCase):
    """Profiles: what they say and what they inherit."""

    def test_inheritance(self) -> None:
        """What a destination leaves out is what [default] says, else the built-in default."""
        table = parse_destinations('[default]\ntls = 3\n[destination."a.test"]\nconcurrent_connections = 7\n')
        profile = table.profile("a.test")
        self.assertEqual((profile.name, profile.tls, profile.concurrent_connections), ("a.test", TLSOption.REQUIRED, 7))
        self.assertEqual((profile.messages_per_connection, profile.mta_sts), (50, STSMode.ON))
        self.assertEqual(table.profile("b.test").tls, TLSOption.REQUIRED)

    def test_names(self) -> None:
        """Names count in any case and script; the exact name wins, then the longest suffix."""
        table = parse_destinations(
            '[destination."M\u00fcnchen.test"]\ntls = 1\n[destination.".TEST"]\ntls = '
            '3\n[destination.".mail.test."]\ntls = 5\n'
        )
        wanted = {
            "xn--mnchen-3ya.test": 1,
            "a.xn--mnchen-3ya.test": 3,
            "b.mail.test": 5,
            "mail.test": 3,
            "test": 2,
        }
        self.assertEqual({name: int(table.profile(name).tls) for name in wanted}, wanted)

    def test_every_tls_option_by_word_and_number(self) -> None:
        """Each TLS option can be written as its word or its number."""
        for option in TLSOption:
            for written in (f'"{option.label}"', str(int(option))):
                self.assertEqual(parse_destinations(f"[default]\ntls = {written}\n").default.tls, option)

    def test_no_tls_switches_inherited_policies_off(self) -> None:
        """With tls = "no", DANE and MTA-STS that are only inherited are off for that destination."""
        table = parse_destinations(
            '[default]\ndane = "mandatory"\nmta_sts = "on"\n[destination."a.test"]\ntls = '
            '"no"\n[destination."b.test"]\ntls = "no"\ndane = "none"\n'
        )
        for name in ("a.test", "b.test"):
            self.assertEqual((table.profile(name).dane, table.profile(name).mta_sts), (DANEMode.NONE, STSMode.OFF))
        self.assertEqual(table.default.dane, DANEMode.MANDATORY)

    def test_tls_again_below_a_default_without(self) -> None:
        """A destination that asks for TLS below a default without it has DANE and MTA-STS as usual."""
        table = parse_destinations('[default]\ntls = "no"\n[destination."a.test"]\ntls = "required"\n')
        self.assertEqual((table.default.dane, table.default.mta_sts), (DANEMode.NONE, STSMode.OFF))
        self.assertEqual(
            (table.profile("a.test").dane, table.profile("a.test").mta_sts),
            (DANEMode.OPPORTUNISTIC, STSMode.ON),
        )

    def test_asked_again(self) -> None:
        """Each table answers by its own profiles, however often it is asked, and keeps only so many answers at hand."""
        one = parse_destinations('[destination."a.test"]\ntls = "required"\n')
        other = attrs.evolve(one, profiles={})
        for _ in range(2):
            self.assertEqual(one.profile("a.test").tls, TLSOption.REQUIRED)
            self.assertEqual(other.profile("a.test"), other.default)
        self.assertEqual(one, parse_destinations('[destination."a.test"]\ntls = "required"\n'))
        for number in range(MOST_KEPT + 10):
            one.profile(f"d{number}.test")
        self.assertEqual(one.profile.cache_info().currsize, MOST_KEPT)  # type: ignore[attr-defined]

    def test_bounce_profile(self) -> None:
        """A destination's bounce profile sets some keys of the general schedule otherwise; the others stay the general ones."""
        table = parse_destinations(
            '[default]\nbounce_profile = "short"\n[bounce_profile."short"]\nlifetime = "1d"\n'
            '[bounce_profile."patient"]\nlifetime = "7d"\nfailure_reports = false\n'
            '[destination."slow.test"]\nbounce_profile = "patient"\n[destination."plain.test"]\nbounce_profile = ""\n'
        )
        general = QueueSettings(first_retry=30.0)
        self.assertEqual(
            table.bounce("slow.test", general), attrs.evolve(general, lifetime=604800.0, failure_reports=False)
        )
        self.assertEqual(table.bounce("other.test", general), attrs.evolve(general, lifetime=86400.0))
        self.assertIs(table.bounce("plain.test", general), general)
        self.assertIs(table.bounce("plain.test", general, "nowhere"), general)

    def test_exemption(self) -> None:
        """An exemption ends at a moment, in UTC where no offset is given, or with the beginning of a date; it isn't inherited."""
        for written, end in (
            ("2026-12-31", "2026-12-31 00:00 UTC"),
            ("2026-12-31T18:00:00", "2026-12-31 18:00 UTC"),
            ("2026-12-31T18:00:00+02:00", "2026-12-31 16:00 UTC"),
        ):
            text = f'[destination.".a.test"]\nexemption = {{ until = {written}, reason = "ticket 1 " }}\n[destination."b.a.test"]\n'
            table = parse_destinations(text)
            exemption = table.profile("x.a.test").exemption
            assert exemption is not None
            self.assertEqual((exemption.end, exemption.reason), (end, "ticket 1"))
            self.assertIsNone(table.profile("b.a.test").exemption)
            self.assertEqual(table.exemptions(), ((".a.test", exemption),))

    def test_empty(self) -> None:
        """An empty file is the default profile for everybody, and no routes."""
        self.assertEqual(parse_destinations(""), Destinations())


class RouteTests(SynchronousTestCase):
    """SMTP routes."""

    def test_forms_of_hosts(self) -> None:
        """A next hop is a name or address with or without port, or a table."""
        table = parse_destinations(
            '[route."all"]\nhosts = ["Relay.Example", "relay.example:587", "[relay.example]:26", '
            '"10.0.0.1", "[2001:DB8::1]:27", "2001:db8::2",\n'
            ' { host = "mail.example", port = 28, preference = 9, use_mx = true }]\n'
        )
        self.assertEqual(
            table.routes["ALL"].hops,
            (
                NextHop("relay.example"),
                NextHop("relay.example", 587),
                NextHop("relay.example", 26),
                NextHop("10.0.0.1"),
                NextHop("2001:db8::1", 27),
                NextHop("2001:db8::2"),
                NextHop("mail.example", 28, 9, True),
            ),
        )

    def test_use_dns(self) -> None:
        """A name with use_dns goes by its MX whatever a wider entry says."""
        table = parse_destinations(
            '[route.ALL]\nhosts = ["r"]\n[route."a.test"]\nuse_dns = true\n[route.".b.test"]\nhosts = ["s"]\n'
        )
        self.assertIsNone(table.route("a.test"))
        self.assertEqual(
            [r.pattern if (r := table.route(n)) else "" for n in ("c.test", "x.b.test")], ["ALL", ".b.test"]
        )
