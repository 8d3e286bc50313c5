"""The tokens file: its grammar and its changes."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.tokens import (
    PREFIX,
    Role,
    Token,
    hash_of,
    new_secret,
    parse_day,
    parse_name,
    parse_tokens,
    with_token,
    without_token,
)

HASH = hash_of(b"seg_one")
DAY = datetime.date(2027, 3, 31)
names = st.builds(str.__add__, st.sampled_from("as09"), st.text("aeg09._@-", max_size=8)).filter(
    lambda name: not name.startswith(PREFIX)
)
lines = st.sampled_from(
    ("# mine", "", "broken", "a boss x", f"A act {HASH}", f"\tz look {HASH} 2027-03-31", "# ä\x0b#")
)
tokens = st.builds(
    Token,
    names,
    st.sampled_from(Role),
    st.binary(max_size=50).map(hash_of),
    st.none() | st.dates(min_value=datetime.date(1000, 1, 1)),
)


class GrammarTests(SynchronousTestCase):
    """`parse_tokens`, `with_token`, `without_token`."""

    def test_lines(self) -> None:
        """A line has name, role, hash and perhaps a day; the case of a name doesn't count; comments and blanks are none."""
        found = parse_tokens(f"# comment\n\nBackup look {HASH}\n  deploy\tact {HASH} 2027-03-31\n")
        self.assertEqual(found.faults, ())
        self.assertEqual(
            found.by_name,
            {"backup": Token("backup", Role.LOOK, HASH), "deploy": Token("deploy", Role.ACT, HASH, DAY)},
        )

    def test_faults(self) -> None:
        """A line that can't be read is passed over and told, without anything secret; the others count."""
        secret = new_secret()
        lines = [
            "alice",
            f"bob boss {HASH}",
            f"carol act {secret}",
            f"dave act {HASH} 2027-02-30",
            f"erin act {HASH} 2027-03-31 more",
            f"{secret} act {HASH}",
            f"frank look {HASH}",
            f"Frank act {HASH}",
            f"-x act {HASH}",
            f"gina act {HASH.upper()}",
            f"hans act {HASH} 20270331",
        ]
        found = parse_tokens("\n".join(lines))
        self.assertEqual(list(found.by_name), ["frank"])
        self.assertIs(found.by_name["frank"].role, Role.LOOK)
        wrong = [number for number in range(1, 12) if number != 7]
        self.assertEqual([fault.split(":")[0] for fault in found.faults], [f"line {number}" for number in wrong])
        self.assertNotIn(secret.lower(), " ".join(found.faults).lower())
        self.assertNotIn(HASH, " ".join(found.faults).lower())

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Any text is read: each line is a token, a fault, or neither."""
        found = parse_tokens(text)
        self.assertLessEqual(len(found.by_name) + len(found.faults), len(text.splitlines()))

    @given(tokens)
    def test_there_and_back(self, token: Token) -> None:
        """What is written is read back."""
        self.assertEqual(dict(parse_tokens(token.line()).by_name), {token.name: token})

    @given(st.lists(st.tuples(tokens, st.booleans()), max_size=8), st.lists(lines, max_size=4).map("\n".join))
    def test_changes(self, steps: list[tuple[Token, bool]], before: str) -> None:
        """Whatever is added and removed, each name has its last token, and all other lines stay."""
        text, wanted = with_token(before, Token("first", Role.ACT, HASH)), {}
        wanted = dict(parse_tokens(text).by_name)
        strange = [line for line in before.splitlines() if line.split()[:1] and line.split()[0].startswith("#")]
        for token, there in steps:
            text = with_token(text, token) if there else without_token(text, token.name)
            wanted.pop(token.name, None)
            wanted.update({token.name: token} if there else {})
        self.assertEqual(dict(parse_tokens(text).by_name), wanted)
        kept = text.splitlines()
        self.assertTrue(all(line in kept for line in strange))

    def test_broken_line_of_the_name(self) -> None:
        """A name is taken out of the file with every line of it, be it readable or not."""
        text = f"# x\nalice\nAlice act {HASH}\nbob act {HASH}\n"
        self.assertEqual(without_token(text, "alice"), f"# x\nbob act {HASH}\n")

    def test_names_and_days(self) -> None:
        """Names and days have one form each, and the objection says which."""
        self.assertEqual(parse_name("Alice@Example.com"), "alice@example.com")
        for name in ("", " ", "-a", "a b", "a" * 65, "ä", "seg_x", "SEG_X"):
            self.assertRaisesRegex(ValueError, "a token's name", parse_name, name)
        self.assertEqual(parse_day("2027-03-31"), DAY)
        for day in ("", "31.3.2027", "2027-3-31", "2027-02-29", "20270331", "2027-W10-1", "٢٠٢٧-03-31"):
            self.assertRaisesRegex(ValueError, "2027-03-31", parse_day, day)


class TokenTests(SynchronousTestCase):
    """One token."""

    def test_secret(self) -> None:
        """Each has 256 random bits behind its prefix, and its hash finds it; repr shows no hash."""
        one, two = new_secret(), new_secret()
        self.assertNotEqual(one, two)
        self.assertRegex(one, r"\Aseg_[A-Za-z0-9_-]{43}\Z")
        found = parse_tokens(f"a look {hash_of(one.encode())}\nb act {hash_of(two.encode())}")
        self.assertEqual(
            [getattr(found.find(s.encode()), "name", None) for s in (one, two, one + "x", "")], ["a", "b", None, None]
        )
        self.assertNotIn(hash_of(one.encode()), repr(found))

    def test_last_day(self) -> None:
        """A token counts on its last day, and not on the next."""
        token = Token("a", Role.ACT, HASH, DAY)
        self.assertFalse(token.over(DAY))
        self.assertTrue(token.over(DAY + datetime.timedelta(days=1)))
        self.assertFalse(Token("a", Role.ACT, HASH).over(datetime.date.max))
