"""Matching MX hosts against a policy (RFC 8461 §4.1)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.policy.mtasts.match import in_policy
from tests.mtasts.rows import rows

_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


class MatchTests(SynchronousTestCase):
    """`in_policy`."""

    def test_corpus(self) -> None:
        """Each row of the corpus matches or doesn't, as it says."""
        cases = rows("mx-match.jsonl")
        self.assertEqual(len(cases), 55)
        wrong = [row for row in cases if in_policy(row["mx"], row["patterns"]) is not row["match"]]
        self.assertEqual(wrong, [])

    def test_a22_one_label_only(self) -> None:
        """A22: ``*.mx.microsoft`` stands for one label, so it doesn't cover a host two labels below."""
        patterns = ("*.mx.microsoft",)
        self.assertFalse(in_policy("icewolf-li.h-v1.mx.microsoft", patterns))
        self.assertTrue(in_policy("icewolf-li.mx.microsoft", patterns))

    def test_final_dot(self) -> None:
        """One final dot of an MX name is only a way of writing it."""
        self.assertTrue(in_policy("mx.one.test.", ("mx.one.test",)))

    @settings(max_examples=100)
    @given(st.lists(_LABEL, min_size=1, max_size=3), st.lists(_LABEL, max_size=3))
    def test_wildcard_is_one_label(self, suffix: list[str], more: list[str]) -> None:
        """A wildcard matches a host with exactly one label more than its fixed part."""
        suffix = [*suffix, "test"]
        host = ".".join([*more, *suffix])
        self.assertEqual(in_policy(host, ("*." + ".".join(suffix),)), len(more) == 1)

    @settings(max_examples=100)
    @given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=3))
    def test_any_text(self, host: str, patterns: list[str]) -> None:
        """Whatever the names are, the answer is yes or no."""
        self.assertIn(in_policy(host, patterns), (True, False))
