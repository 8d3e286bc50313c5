"""Lists of addresses: recipients are found as they are written, and never guessed."""

from __future__ import annotations

import contextlib
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.smtp.address_list import AddressListError, Mailbox, mailboxes

READ: dict[str, list[str]] = {
    "": [],
    " , ,": [],
    "a@x": ["a@x"],
    "a@x,b@x": ["a@x", "b@x"],
    "root": ["root"],
    "root, alice": ["root", "alice"],
    "root (Cron Daemon)": ["root"],
    "(a@y) b@x (c@y (d@y))": ["b@x"],
    "boss@other.example <real@x>": ["real@x"],
    '"boss@other.example" <real@x>': ["real@x"],
    '"A, B" <a@x>,\n\tb@x': ["a@x", "b@x"],
    '"a\\"<b@y>, " <a@x>': ["a@x"],
    "John Q. Public <a@x>": ["a@x"],
    "=?utf-8?q?J=C3=BCrgen?= <a@x>": ["a@x"],
    "J\u00fcrgen <a@x>": ["a@x"],
    "[Team] <a@x>": ["a@x"],
    "<@r.example,@s.example:a@x>": ["a@x"],
    "undisclosed-recipients:;": [],
    "friends: a@x, B <b@x>;, c@x": ["a@x", "b@x", "c@x"],
    "a . b @ x . example": ["a.b@x.example"],
    '"a b"@x': ['"a b"@x'],
    "a@[IPv6:2001:db8::1]": ["a@[IPv6:2001:db8::1]"],
}
REFUSED = (
    "Doe, John <john@x>",
    "John <john@x>, III",
    "=?utf-8?q?Doe,_John?= <john@x>",
    "john@x, Doe",
    "a@x b@x",
    "<a@x> <b@x>",
    "a@x <b@x> c@x",
    "<a@x> b@x",
    "a@x; b@x",
    "<a@x",
    "a@x>",
    "<<a@x>>",
    "<>",
    "<a@x, b@x>",
    '"Doe <a@x>',
    "(Doe <a@x>",
    "Doe) <a@x>",
    "a@x@y",
    "@x",
    "a@",
    'a"b"@x',
    '"a"b@x',
    "friends: a@x",
    "friends: a@x; b@x",
    "friends: family: a@x;;",
    "boss@x: a@x;",
    ":a@x;",
    "<mailto a@x>",
)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=("Cc",)), max_size=8)
ATOMS = st.text("abcXYZ019!#-_+", min_size=1, max_size=8)
ADDRESSES = st.builds(lambda local, domain: f"{local}@{domain}.example", ATOMS, st.text("abc", min_size=1, max_size=4))


class AddressListTests(SynchronousTestCase):
    """`seg.smtp.address_list.mailboxes`."""

    def test_read(self) -> None:
        """Who is meant is read as RFC 5322 says, and as programs write it where that is clear."""
        for text, addresses in READ.items():
            self.assertEqual([each.address for each in mailboxes(text)], addresses, text)

    def test_refused(self) -> None:
        """A list that could be read in two ways is refused whole: nobody gets a copy by a guess."""
        for text in REFUSED:
            with self.assertRaises(AddressListError, msg=text):
                mailboxes(text)

    def test_known_names(self) -> None:
        """The name of somebody here may stand beside other addresses."""
        found = mailboxes("root, John <john@x>", lambda name: name == "root")
        self.assertEqual(found, [Mailbox("root"), Mailbox("john@x", "John")])

    @given(st.lists(st.tuples(WORDS, ADDRESSES, WORDS), min_size=1, max_size=4))
    def test_names_and_comments(self, members: list[tuple[str, str, str]]) -> None:
        """Whatever stands in quotes and comments, only what stands in angle brackets gets the message."""
        text = ", ".join(
            f'"{name}" <{address}> ({comment.translate({40: None, 41: None})})' for name, address, comment in members
        )
        self.assertEqual([each.address for each in mailboxes(text)], [address for _, address, _ in members])

    @given(st.text('ab@.,:;<>()"\\[] \t\n\u00fc', max_size=30))
    def test_nothing_invented(self, text: str) -> None:
        """Of any text at all, each address read stands in it (less the space at dots and at the @), and no two share an octet."""
        try:
            found = mailboxes(text, lambda name: True)
        except AddressListError:
            return
        rest = "".join(text.split())
        for each in found:
            bare = "".join(each.address.split())
            self.assertLessEqual(bare.count("@"), text.count("@"))
            for part in bare.split("@"):
                self.assertIn(part, rest)
        self.assertLessEqual(len(found), text.count(",") + text.count(";") + 1)

    def test_linear(self) -> None:
        """What a program writes into a header costs no more than its length."""
        for text in ("(", "<", '"', ":", "a ", "@a", "a@x,", "[a", "\\", '"a"', "(a)"):
            begun = time.thread_time()
            with contextlib.suppress(AddressListError):
                mailboxes(text * (100_000 // len(text)))
            self.assertLess(time.thread_time() - begun, 2.0, text)
