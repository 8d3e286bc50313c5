"""The aliases file, and who gets mail by it."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.local.aliases import Aliases, TargetKind, parse_aliases
from seg.local.table import ALWAYS, LocalTable, NoTaker
from seg.mail.address import domain_of
from seg.mail.envelope import Envelope, Recipient

FILE = """\
# the usual
mailer-daemon: postmaster
postmaster:	root
ROOT: admin@there.test
# a comment between
staff: alice, "bob b"@there.test,
   # and one within
  Carol C. <carol@there.test>,

  dave@gw.test
alice: \\alice, alice@there.test
"two words": x@there.test
nobody: /dev/null
list: :include:/lists/all
hook: "|/usr/bin/vacation alice"
also: ok@there.test, |/bin/cat
spool: /var/mail/spool
a: b
b: a@gw.test
c: b, out@there.test
self: self
bad line
x@y: z@there.test
two: one@there.test two@there.test
alice: other@there.test
"""
INCLUDED = {"/lists/all": "one@there.test\n# not this\ntwo@there.test, alice\n:include:/lists/all\n"}


def include(path: str) -> str:
    """The text of an included file."""
    if path not in INCLUDED:
        raise OSError(2, "No such file or directory")
    return INCLUDED[path]


def parsed(text: str) -> Aliases:
    """The entries in a text."""
    return parse_aliases(text, include, lambda domain: domain == "gw.test")


def table(text: str = "", postmaster: str = "", local_users: str = "") -> LocalTable:
    """Of a gateway gw.test."""
    return LocalTable(frozenset({"gw.test"}), postmaster, local_users, parsed(text), strict=True)


WAYS: dict[str, tuple[str, ...]] = {
    "root": ("admin@there.test",),
    "Postmaster": ("admin@there.test",),
    "abuse@GW.test": ("admin@there.test",),
    "MAILER-DAEMON@gw.test": ("admin@there.test",),
    "alice@gw.test": ("alice@there.test", "users@there.test"),
    "alice+lists@gw.test": ("alice@there.test", "users@there.test"),
    "staff": ("alice@there.test", '"bob b"@there.test', "carol@there.test", "users@there.test"),
    '"two words"@gw.test': ("x@there.test",),
    "list": ("one@there.test", "two@there.test", "alice@there.test", "users@there.test"),
    "c": ("out@there.test",),
    "self": ("users@there.test",),
    "unheard.of@gw.test": ("users@there.test",),
}


class AliasTests(SynchronousTestCase):
    """`seg.local.aliases` and `seg.local.table`."""

    def test_ways(self) -> None:
        """Names, lists, continuation lines, quotes, includes and the users themselves lead where Sendmail and Postfix would."""
        known = table(FILE, local_users="users@there.test")
        for address, wanted in WAYS.items():
            self.assertEqual(set(known.takers(address).addresses), set(wanted), address)
        self.assertTrue(known.takers("nobody").discards)

    def test_faults(self) -> None:
        """Commands, files, loops and what can't be read are told with their line; such a name is broken, not unknown."""
        aliases = parsed(FILE)
        lines = {fault.split(": ")[0]: fault for fault in aliases.faults}
        for number, words in (
            (15, "a command"),
            (16, "a command"),
            (17, "a file"),
            (18, "circle"),
            (19, "circle"),
            (22, "isn't name"),
            (23, "has a domain"),
            (24, "isn't one address"),
            (25, "already"),
        ):
            self.assertIn(words, lines.get(f"line {number}", ""), aliases.faults)
        self.assertEqual(len(aliases.faults), 9, aliases.faults)
        known = table(FILE)
        for name in ("hook", "also", "spool", "a", "b", "two"):
            self.assertIs(known.takers(name).none, NoTaker.BROKEN, name)
            self.assertIn("line ", known.takers(name).fault)
        self.assertIs(known.takers("who").none, NoTaker.UNKNOWN)

    def test_kinds(self) -> None:
        """Each kind of target by how it begins; the keyword in any case."""
        for text, kind, target in (
            (":Include: /lists/all", TargetKind.INCLUDE, "/lists/all"),
            ("/dev/null", TargetKind.NULL, "/dev/null"),
            ("/dev/null/x", TargetKind.FILE, "/dev/null/x"),
            ("|/bin/cat", TargetKind.COMMAND, "|/bin/cat"),
            (":fail: no", TargetKind.DIRECTIVE, ":fail: no"),
            ("\\alice", TargetKind.FINAL, "alice"),
            ("bob@there.test", TargetKind.ADDRESS, "bob@there.test"),
        ):
            self.assertEqual(TargetKind.of(text), (kind, target))

    def test_includes(self) -> None:
        """A file that can't be read makes its alias unusable, with the reason; not shorter."""
        found = parsed("l: a@there.test, :include:/no/such\n")
        self.assertEqual(found.faults, ("line 1: l includes /no/such: No such file or directory",))

    def test_always_reached(self) -> None:
        """Postmaster, abuse and root reach somebody however little is configured, and however wrong their aliases are."""
        for text in (
            "",
            "root: |/bin/x\n",
            "root: postmaster\npostmaster: root\n",
            "abuse: root\nroot: abuse\n",
            "root: root\n",
        ):
            for settings in (("p@there.test", ""), ("", "u@there.test"), ("p@gw.test", "u@there.test")):
                for name in ALWAYS:
                    found = table(text, *settings).takers(name)
                    self.assertEqual((len(found.addresses), found.none), (1, None), (text, settings, name))
        self.assertIs(table().takers("root").none, NoTaker.UNKNOWN)

    def test_readdressed(self) -> None:
        """Those who get the mail stand in the place of local addresses, each once; what was asked for goes with them."""
        known = table(FILE, "p@there.test", "users@there.test")
        recipients = (
            Recipient(0, "staff@gw.test", notify=frozenset()),
            Recipient(1, "far@there.test"),
            Recipient(2, "alice@THERE.test"),
            Recipient(3, "nobody@gw.test"),
        )
        envelope, told = known.readdressed(Envelope(1, "a@b.test", recipients, 0.0))
        self.assertEqual(len({each.rid for each in envelope.recipients}), len(envelope.recipients))
        shown = [(each.address, each.via, each.notify) for each in envelope.recipients]
        self.assertEqual(shown.count(("nobody@gw.test", "/dev/null", None)), 1)
        self.assertEqual([each[0].lower() for each in shown].count("alice@there.test"), 1)
        self.assertIn(("carol@there.test", "", frozenset()), shown)
        self.assertEqual(len(told), 2)
        same = Envelope(1, "a@b.test", recipients[1:3], 0.0)
        self.assertIs(known.readdressed(same)[0], same)

    def test_never_nothing(self) -> None:
        """Mail for an alias in a loop, and a report for somebody unknown, come to the postmaster, once."""
        known = table(FILE, "p@there.test")
        for sender, name in (("a@b.test", "a"), ("", "a"), ("", "who"), ("", "hook")):
            envelope, _ = known.readdressed(Envelope(1, sender, (Recipient(0, f"{name}@gw.test"),), 0.0))
            self.assertEqual([each.address for each in envelope.recipients], ["admin@there.test"], (sender, name))
        left = Envelope(1, "a@b.test", (Recipient(0, "who@gw.test"),), 0.0)
        self.assertEqual(known.readdressed(left)[0], left)

    def test_unreadable(self) -> None:
        """As long as the aliases can't be read, mail for users waits; postmaster and root have theirs."""
        known = attrs.evolve(table("", "p@there.test", "u@there.test"), unreadable="it can't be read")
        self.assertIs(known.takers("alice").none, NoTaker.BROKEN)
        self.assertIsNone(known.takers("root").none)

    @given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg/"), min_size=1, max_size=3)))
    def test_any_file(self, ways: dict[str, list[str]]) -> None:
        """Whatever leads where, looking comes to an end, and each name has takers, is discarded, or is told to be broken or unknown."""
        names = {"/": "/dev/null", "g": "g@there.test"}
        text = "".join(f"{name}: {', '.join(names.get(each, each) for each in ways[name])}\n" for name in ways)
        known = table(text)
        for name in "abcdef":
            found = known.takers(name)
            self.assertEqual(bool(found.addresses or found.discards), found.none is None)
            for address in found.addresses:
                self.assertEqual(domain_of(address), "there.test")
