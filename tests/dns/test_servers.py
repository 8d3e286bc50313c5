"""Which resolvers are asked, and which are believed."""

from __future__ import annotations

import errno
import os

import dns._file_util
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.dns.servers import UpstreamServer, in_turn, make_servers, parse_server, system_resolvers


class ConfigurationTests(SynchronousTestCase):
    """Resolvers as an operator writes them."""

    def test_grammar(self) -> None:
        """Address, or address and port; IPv6 with a port stands in brackets. A server is shown as it can be
        written."""
        for text, address, port, shown in (
            ("192.0.2.1", "192.0.2.1", 53, "192.0.2.1"),
            (" 192.0.2.1:5300 ", "192.0.2.1", 5300, "192.0.2.1:5300"),
            ("2001:db8::1", "2001:db8::1", 53, "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1", 53, "2001:db8::1"),
            ("[2001:db8::1]:5300", "2001:db8::1", 5300, "[2001:db8::1]:5300"),
        ):
            parsed = parse_server(text)
            self.assertEqual((str(parsed[0]), parsed[1]), (address, port))
            self.assertEqual(str(UpstreamServer(*parsed)), shown)
            self.assertEqual(parse_server(shown), parsed)

    def test_faults(self) -> None:
        """Every fault of both lists is named in one go."""
        bad = (
            "ns.test",
            "",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1:70000",
            "192.0.2.1:0",
            "[::1",
            "[::1]53",
            "[::1]:",
        )
        with self.assertRaises(ConfigurationError) as caught:
            make_servers([*bad, "192.0.2.1"], ["10.0.0.0/33"])
        problems = caught.exception.problems
        self.assertEqual(len(problems), len(bad) + 1, problems)
        self.assertIn("dns.trusted: '10.0.0.0/33'", problems[0])

    def test_trust(self) -> None:
        """The networks of the operator decide whose AD bit is believed."""
        servers = make_servers(["127.0.0.53", "192.0.2.1", "::1"], ["127.0.0.0/8", "::1/128"])
        self.assertEqual([server.believed for server in servers], [True, False, True])
        servers[0].validating = False
        self.assertFalse(servers[0].believed)


class SystemTests(SynchronousTestCase):
    """/etc/resolv.conf."""

    def read(self, text: bytes) -> tuple[str, ...]:
        """The servers of a file."""
        path = self.mktemp()
        with open(path, "wb") as f:
            f.write(text)
        return system_resolvers(os.path.abspath(path))

    def test_file(self) -> None:
        """Its name servers count, in order."""
        text = b"# c\nsearch a.test\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions edns0\n"
        self.assertEqual(self.read(text), ("192.0.2.1", "2001:db8::1"))

    def test_unusable(self) -> None:
        """Without a usable file the resolver of this host is asked."""
        for text in (b"", b"search a.test\n", b"nameserver\n", b"nameserver nonsense\n", b"\xff\xfe\n"):
            self.assertEqual(self.read(text), ("127.0.0.1",), text)
        self.assertEqual(system_resolvers("/nonexistent"), ("127.0.0.1",))

    def test_out_of_descriptors(self) -> None:
        """That no file can be read now isn't taken for a file without name servers."""

        def refuse(*_: object, **__: object) -> object:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self.patch(dns._file_util, "maybe_open", refuse)
        with self.assertRaises(ConfigurationError) as caught:
            system_resolvers("/etc/resolv.conf")
        self.assertEqual(caught.exception.problems, ("/etc/resolv.conf can't be read: Too many open files",))


class OrderTests(SynchronousTestCase):
    """The order of asking."""

    def test_demotion(self) -> None:
        """Servers that were silent come last, for a while; they keep their order."""
        servers = make_servers(["192.0.2.1", "192.0.2.2", "192.0.2.3"], [])
        servers[0].demoted_until = 60.0
        self.assertEqual(in_turn(servers, 59.0), [servers[1], servers[2], servers[0]])
        self.assertEqual(in_turn(servers, 60.0), list(servers))

    def test_no_demotion_below_untrusted(self) -> None:
        """A silent trusted resolver isn't put behind one that isn't trusted."""
        servers = make_servers(["127.0.0.1", "192.0.2.2"], ["127.0.0.0/8"])
        servers[0].demoted_until = 60.0
        self.assertEqual(in_turn(servers, 1.0), list(servers))

    def test_believed_first(self) -> None:
        """Those that are believed are asked before the others, wherever the operator put them; among each other they keep their order."""
        servers = make_servers(["192.0.2.1", "127.0.0.1", "192.0.2.2", "127.0.0.2"], ["127.0.0.0/8"])
        one, two, three, four = servers
        self.assertEqual(in_turn(servers, 1.0), [two, four, one, three])
        two.demoted_until = 60.0
        self.assertEqual(in_turn(servers, 1.0), [four, two, one, three])
        four.validating = False
        self.assertEqual(in_turn(servers, 1.0), [two, one, three, four])
