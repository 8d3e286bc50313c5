"""Paths follow the grammar and lengths of RFC 5321."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.smtp.address import (
    PathError,
    check_forward_path,
    check_reverse_path,
    is_address_literal,
    is_domain,
    parse_forward_path,
    parse_reverse_path,
)

GOOD = {
    "<a@b.test>": "a@b.test",
    "<A.b+c=d@B.TEST>": "A.b+c=d@B.TEST",
    "<!#$%&'*+-/=?^_`{|}~@b.test>": "!#$%&'*+-/=?^_`{|}~@b.test",
    '<"john doe"@b.test>': '"john doe"@b.test',
    '<"a@b"@c.test>': '"a@b"@c.test',
    '<"a\\"b\\\\"@c.test>': '"a\\"b\\\\"@c.test',
    '<"<>"@c.test>': '"<>"@c.test',
    '<""@c.test>': '""@c.test',
    "<a@localhost>": "a@localhost",
    "<a@1.example>": "a@1.example",
    "<a@x--y.test>": "a@x--y.test",
    "<a@[192.0.2.1]>": "a@[192.0.2.1]",
    "<a@[IPv6:2001:db8::1]>": "a@[IPv6:2001:db8::1]",
    "<a@[ipv6:::1]>": "a@[ipv6:::1]",
    "<@one.test:a@b.test>": "a@b.test",
    "<@one.test,@two.test:a@b.test>": "a@b.test",
    "<user%b.test@c.test>": "user%b.test@c.test",
    "<b.test!user@c.test>": "b.test!user@c.test",
    f"<{'l' * 64}@b.test>": f"{'l' * 64}@b.test",
    f"<a@{'d' * 63}.test>": f"a@{'d' * 63}.test",
    "<a@my_host.test>": "a@my_host.test",
    "<a@_b.test>": "a@_b.test",
    f"<@{'d' * 63}.{'d' * 63}.{'d' * 63}.test:a@{'d' * 60}.test>": f"a@{'d' * 60}.test",
}
BAD = [
    "",
    "a@b.test",
    "<a@b.test",
    "a@b.test>",
    "<a>",
    "<@b.test>",
    "<a@>",
    "<a@@b.test>",
    "<a@b@c.test>",
    "<a@.>",
    "<a@.b.test>",
    "<a@b..test>",
    "<a@b.test.>",
    "<a@-b.test>",
    "<a@b-.test>",
    "<.a@b.test>",
    "<a.@b.test>",
    "<a..b@c.test>",
    "<a b@c.test>",
    "< a@b.test>",
    "<a@b.test >",
    "<a@b\t.test>",
    "<a\x01@b.test>",
    '<"a@b.test>',
    '<"a"b@c.test>',
    '<"a\x7f"@b.test>',
    "<a@[192.0.2]>",
    "<a@[192.0.2.256]>",
    "<a@[IPv6:fe80::1%eth0]>",
    "<a@[IPv6:12345::]>",
    "<a@[x400:abc]>",
    "<a@[]>",
    "<one.test:a@b.test>",
    "<@one.test a@b.test>",
    "<<a@b.test>>",
    f"<{'l' * 900}@b.test>",
    f"<a@{'d' * 64}.test>",
    f"<a@{'d.' * 127}{'d' * 9}>",
]
# What old programs and devices write, and the address that is meant.
OLD = {
    "a@b.test": "a@b.test",
    "< a@b.test >": "a@b.test",
    "<a@b.test >": "a@b.test",
    "<a@b.test.>": "a@b.test",
    "a@b.test.": "a@b.test",
    "<root>": "root@our.test",
    "root": "root@our.test",
    '"john doe"@b.test': '"john doe"@b.test',
    "<a@[192.0.2.1]>": "a@[192.0.2.1]",
    "a@my_host.test": "a@my_host.test",
    "@one.test:a@b.test": "a@b.test",
}
STILL_BAD = [
    "",
    "<",
    "<>>",
    "<a@b.test",
    "a@b.test>",
    "<a b@c.test>",
    "Name <a@b.test>",
    "<<a@b.test>>",
    "<a@b.test..>",
    "a@b..test",
    "a@b@c.test",
    "SIZE=100",
    "<@b.test>",
    "a@",
    "@b.test",
    "a@-b.test",
    "a@b.test,c@d.test",
    "<a@[x]>",
]


class PathTests(SynchronousTestCase):
    """`parse_forward_path` and `parse_reverse_path`."""

    def test_good(self) -> None:
        """The mailbox is kept as given, a source route is dropped, and the end of the path is known."""
        for text, address in GOOD.items():
            for parse in (parse_forward_path, parse_reverse_path):
                path = parse(f"TO:{text} X=1", 3)
                self.assertEqual((path.address, path.end), (address, 3 + len(text)), text)

    def test_long_local_parts(self) -> None:
        """A local part may be longer than the 64 octets that RFC 5321 §4.5.3.1.1 asks for: those of lists and forwarders are."""
        for size in (65, 86, 100, 200, 880):
            address = f"{'l' * size}@b.test"
            for parse in (parse_forward_path, parse_reverse_path):
                self.assertEqual(parse(f"<{address}>", 0).address, address)
            check_forward_path(address)
            check_reverse_path(address)

    def test_old_programs(self) -> None:
        """Where it is forgiven, what old programs write is an address; else it is refused."""
        for text, address in (OLD | GOOD).items():
            for parse in (parse_forward_path, parse_reverse_path):
                path = parse(f"TO:{text} X=1", 3, "our.test")
                self.assertEqual((path.address, path.end), (address, 3 + len(text)), text)
                if text not in GOOD:
                    self.assertRaises(PathError, parse, text, 0)
        self.assertEqual(parse_reverse_path("< >", 0, "our.test").address, "")
        self.assertEqual(parse_forward_path("postMaster", 0, "our.test").address, "postMaster")
        self.assertEqual(parse_forward_path("<postmaster@b.test>", 0, "our.test").address, "postmaster@b.test")

    def test_nothing_else_is_forgiven(self) -> None:
        """What can be read in two ways is refused to everybody."""
        for text in STILL_BAD:
            path = None
            with contextlib.suppress(PathError):
                path = parse_forward_path(text, 0, "our.test")
            self.assertTrue(path is None or path.end < len(text), text)  # what follows is no parameter

    def test_bad(self) -> None:
        """Whatever the grammar doesn't make, or is too long, is refused."""
        for text in BAD:
            for parse in (parse_forward_path, parse_reverse_path):
                self.assertRaises(PathError, parse, text, 0)

    def test_beyond_ascii(self) -> None:
        """RFC 6531 §3.3: local parts and labels beyond ASCII; lengths count in octets, and a domain must be one that can be looked up."""
        for text in ("<jörg@bücher.test>", '<"jö rg"@b.test>', "<用户@例子.test>", "<a@xn--bcher-kva.bücher.test>"):
            self.assertEqual(parse_forward_path(text, 0).address, text[1:-1])
        for text in (
            f"<{'ö' * 450}@b.test>",
            f"<a@{'ö' * 120}.test>",
            "<a@-ö.test>",
            "<a@ö..test>",
            "<a@\u00a0.test>",
            "<a@\uff20b.test>",
            "<a\u0085@b.test>",
            "<a\u2028@b.test>",
            "<a@\u200dö.test>",
            "<ö>",
        ):
            self.assertRaises(PathError, parse_forward_path, text, 0)

    def test_null(self) -> None:
        """Only a reverse-path may be null."""
        self.assertEqual(parse_reverse_path("<>", 0).address, "")
        self.assertRaises(PathError, parse_forward_path, "<>", 0)

    def test_postmaster(self) -> None:
        """Only a forward-path may be Postmaster without a domain, in any case of letters."""
        for text in ("<Postmaster>", "<postmaster>", "<POSTMASTER>"):
            self.assertEqual(parse_forward_path(text, 0).address, text[1:-1])
            self.assertRaises(PathError, parse_reverse_path, text, 0)

    @given(st.text(alphabet='<>@.,:"\\[] a1-%', max_size=30))
    @settings(max_examples=100)
    def test_what_is_accepted_is_safe(self, text: str) -> None:
        """An accepted path is printable ASCII with one domain, whatever was thrown at it."""
        try:
            address = parse_forward_path(f"<{text}>", 0).address
        except PathError:
            return
        local, _, domain = address.rpartition("@")
        self.assertTrue(local and (is_domain(domain) or is_address_literal(domain)), address)

    def test_no_backtracking(self) -> None:
        """A path made to confuse the grammar takes no time to refuse."""
        for text in (
            "<" + "a." * 270,
            "<@" + "a-" * 270,
            '<"' + "\\\\" * 270,
            "<@a" + ",@a" * 180,
            "<@ä" + ",@ä" * 120,
        ):
            self.assertRaises(PathError, parse_forward_path, text, 0)
            self.assertRaises(PathError, parse_forward_path, text, 0, "our.test")
