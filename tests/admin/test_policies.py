"""The policies known come in pages of bounded size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from click.testing import CliRunner
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from seg.admin import policies
from seg.admin.policies import page_of
from seg.admin.wire.destinations import MOST_POLICIES
from seg.cli.main import CommandContext, main
from seg.common.json_schema import plain
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.policy import MAX_PATTERNS, parse_policy
from tests.doubles import RecordingSink

TEXT = b"version: STSv1\nmode: enforce\nmx: mx.one.test\nmax_age: 604800\n"
LARGE = TEXT + b"".join(b"mx: %s.%03d.one.test\n" % (b".".join([b"x" * 60] * 3), n) for n in range(MAX_PATTERNS - 1))


class PageCase(SynchronousTestCase):
    """A cache with some policies."""

    def setUp(self) -> None:
        """Nothing is known."""

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            return execute(work)

        self.folder = Path(self.mktemp())
        self.cache = PolicyCache(self.folder, in_thread, RecordingSink(), max_memory=1)
        self.successResultOf(Deferred.fromCoroutine(self.cache.load()))

    def keep(self, *domains: str, text: bytes = TEXT) -> None:
        """Policies of these domains."""
        for domain in domains:
            self.successResultOf(self.cache.put(CachedPolicy(domain, "1", parse_policy(text), 1.0, 1.0, 1.0)))

    def page(self, limit: int = 100, after: str = "") -> tuple[list[str], dict[str, Any]]:
        """The domains of a page, and all of it."""
        found = plain(self.successResultOf(Deferred.fromCoroutine(page_of(self.cache, limit, after))))
        return [policy["domain"] for policy in found["policies"]], found

    def walk(self, limit: int) -> list[list[str]]:
        """All pages."""
        pages, after = [], None
        while after != "":
            domains, found = self.page(limit, after or "")
            pages.append(domains)
            after = found["next"]
        return pages


class PageTests(PageCase):
    """`page_of`."""

    def test_any_limit(self) -> None:
        """Page by page each policy comes once, in the order of their domains, whatever the limit."""
        domains = [f"d{number:03}.test" for number in range(120)]
        shuffled = domains.copy()
        Random(1).shuffle(shuffled)
        self.keep(*shuffled)
        for limit in (1, 7, 60, 119, 120, 121, MOST_POLICIES):
            pages = self.walk(limit)
            self.assertEqual([domain for page in pages for domain in page], domains)
            self.assertTrue(all(len(page) == limit for page in pages[:-1]))
            self.assertEqual(len(pages), -(-120 // limit))
        self.assertEqual(self.page(7)[1]["total"], 120)

    def test_large(self) -> None:
        """Others' hosts fill no answer: a page ends before it is larger than a megabyte or so, and goes on from there."""
        domains = [f"d{number:03}.test" for number in range(60)]
        self.keep(*domains, text=LARGE)
        self.patch(policies, "LARGEST_PAGE", 200_000)
        pages = self.walk(MOST_POLICIES)
        self.assertEqual([domain for page in pages for domain in page], domains)
        size = len(parse_policy(LARGE).mx) * 200
        self.assertTrue(all(1 <= len(page) <= 200_000 // size + 1 for page in pages), [len(page) for page in pages])
        self.patch(policies, "LARGEST_PAGE", 1)
        self.assertEqual([len(page) for page in self.walk(10)], [1] * 60)

    def test_unreadable(self) -> None:
        """Policies whose files are gone or damaged are left out, and end nothing early."""
        domains = [f"d{number:03}.test" for number in range(120)]
        self.keep(*domains)
        for domain in (*domains[:70], *domains[-20:]):
            (self.folder / f"{domain}.json").unlink()
        self.assertEqual([domain for page in self.walk(10) for domain in page], domains[70:100])

    def test_nothing(self) -> None:
        """Nothing known, or nothing behind the last one, is an empty page that is the last."""
        self.assertEqual(self.page(), ([], {"total": 0, "policies": [], "next": ""}))
        self.keep("one.test")
        for after in ("one.test", "zzz", "\U0010ffff"):
            self.assertEqual(self.page(after=after), ([], {"total": 1, "policies": [], "next": ""}))

    def test_changed_meanwhile(self) -> None:
        """A policy that goes between two pages takes no other with it."""
        self.keep(*(f"d{number}.test" for number in range(6)))
        domains, found = self.page(3)
        self.cache.forget("d2.test")
        self.cache.forget("d3.test")
        self.assertEqual((domains[-1], self.page(3, found["next"])[0]), ("d2.test", ["d4.test", "d5.test"]))


class CommandTests(PageCase):
    """``seg policyshow``."""

    def shown(self, *words: str) -> str:
        """What the command prints; the gateway's pages are of five."""
        case = self

        class Paging:
            def get(self, path: str, limit: int = 100, after: str = "") -> Any:
                return case.page(min(limit, 5), after)[1]

        with mock.patch.object(CommandContext, "gateway", lambda *_: Paging()):
            result = CliRunner().invoke(main, ["policyshow", *words])
        self.assertEqual(result.exit_code, 0, result.output)
        return result.output

    def test_table(self) -> None:
        """All pages up to the limit, under one header; what is left is said."""
        self.keep(*(f"d{number:02}.test" for number in range(12)))
        lines = [line.split()[0] for line in self.shown().splitlines()]
        self.assertEqual(lines, ["Domain", *(f"d{number:02}.test" for number in range(12))])
        lines = self.shown("--limit", "8").splitlines()
        self.assertEqual(lines[-1], "The first 8 of 12 policies; more with --limit.")
        self.assertEqual(len(lines), 1 + 8 + 1)
        self.assertIn("The first 3 of 12 policies", self.shown("--limit", "3"))

    def test_json(self) -> None:
        """One document of all pages."""
        self.keep(*(f"d{number:02}.test" for number in range(12)))
        for limit, left in ((12, ""), (7, "d06.test")):
            found = json.loads(self.shown("--json", "--limit", str(limit)))
            self.assertEqual((found["total"], len(found["policies"]), found["next"]), (12, limit, left))

    def test_nothing(self) -> None:
        """Nothing known is said so."""
        self.assertEqual(self.shown(), "No MTA-STS policy is known.\n")
