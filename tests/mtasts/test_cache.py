"""The policies known, in memory and on disk: they outlive the process, and damage costs a fetch at the most."""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg import events
from seg.dns.answer import FailureKind
from seg.mtasts.cache import (
    CachedPolicy,
    CacheFileError,
    PolicyCache,
    decode_entry,
    encode_entry,
    file_name,
    read_folder,
    write_entry,
)
from seg.mtasts.errors import PolicyError
from seg.mtasts.policy import MAX_SIZE, parse_policy
from tests.mtasts.keeping import TXT, WEEK, D, StoreCase, body

NOBODY = 65534

_FACTS = ("domain", "id", "mode", "mx", "fetched", "checked", "used", "expires", "policy")
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


def entry_of(domain: str = D, text: bytes = body(), fetched: float = 1_000_000.0) -> CachedPolicy:
    """An entry."""
    return CachedPolicy(domain, "1", parse_policy(text), fetched, fetched, fetched)


class FileTests(SynchronousTestCase):
    """One entry as a file."""

    def test_readable(self) -> None:
        """A person finds domain, id, mode, hosts, times and the policy as published, one a line."""
        text = encode_entry(entry_of()).decode()
        self.assertEqual(
            text.splitlines(),
            [
                "{",
                ' "domain": "one.test",',
                ' "id": "1",',
                ' "mode": "enforce",',
                ' "mx": [',
                '  "mx.one.test"',
                " ],",
                ' "fetched": 1000000.0,',
                ' "checked": 1000000.0,',
                ' "used": 1000000.0,',
                ' "expires": 1604800.0,',
                ' "policy": "version: STSv1\\nmode: enforce\\nmx: mx.one.test\\nmax_age: 604800\\n"',
                "}",
            ],
        )

    def test_only_the_text_counts(self) -> None:
        """What somebody writes about the policy beside its text changes nothing."""
        facts = json.loads(encode_entry(entry_of())) | {"mode": "none", "mx": [], "expires": 9e9}
        self.assertEqual(decode_entry(json.dumps(facts).encode()), entry_of())

    def test_a30_wrong_types(self) -> None:
        """A30: any fact of another type, or missing, makes the file no entry."""
        good = json.loads(encode_entry(entry_of()))
        for name in ("domain", "id", "fetched", "checked", "used", "policy"):
            for value in (None, True, -1, 1e12, float("nan"), [], {}, "", "\ud800", "a b", "../x"):
                damaged = json.dumps(good | {name: value}).encode()
                self.assertRaises(CacheFileError, decode_entry, damaged)
            del (missing := dict(good))[name]
            self.assertRaises(CacheFileError, decode_entry, json.dumps(missing).encode())

    def test_domains(self) -> None:
        """A domain is taken as lower-case A-labels only."""
        good = encode_entry(entry_of())
        for domain in ("One.test", "bücher.test", "one.test.", "192.0.2.1", ".", "a/b"):
            self.assertRaises(CacheFileError, decode_entry, good.replace(b"one.test", domain.encode(), 1))

    def test_long_names(self) -> None:
        """A name too long for a file name is hashed; the file says whose it is."""
        domain = ".".join(["a" * 60] * 4)
        name = file_name(domain)
        self.assertEqual((len(name), name[-5:]), (69, ".json"))
        folder = Path(self.mktemp())
        write_entry(folder, entry_of(domain))
        self.assertEqual([entry.domain for entry in read_folder(folder)[0]], [domain])

    def test_atomic(self) -> None:
        """A write that fails half-way leaves the old entry as it was."""
        folder = Path(self.mktemp())
        write_entry(folder, entry_of())
        (folder / "one.test.part").mkdir()
        self.assertRaises(OSError, write_entry, folder, entry_of(fetched=2_000_000.0))
        self.assertEqual(read_folder(folder), ([entry_of()], []))

    def test_left_over(self) -> None:
        """What a write that was cut off left behind is no entry, and gives way to the next write."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "one.test.part").write_bytes(b'{"domain": "one')
        self.assertEqual(read_folder(folder), ([], []))
        write_entry(folder, entry_of())
        self.assertEqual([path.name for path in folder.iterdir()], ["one.test.json"])

    @settings(max_examples=100)
    @given(st.one_of(st.binary(max_size=200), st.dictionaries(st.sampled_from(_FACTS), _JSON).map(json.dumps)))
    def test_any_content(self, content: bytes | str) -> None:
        """Whatever a file holds is an entry, or a `CacheFileError` of one line."""
        data = content.encode() if isinstance(content, str) else content
        try:
            decode_entry(data)
        except CacheFileError as error:
            self.assertTrue(str(error).isprintable() and len(str(error)) <= 100)

    @settings(max_examples=100)
    @given(st.dictionaries(st.sampled_from(_FACTS), _JSON, max_size=2))
    def test_any_change(self, changes: dict[str, object]) -> None:
        """An entry of which any facts are changed is an entry, or a `CacheFileError`."""
        facts = json.loads(encode_entry(entry_of())) | changes
        try:
            decode_entry(json.dumps(facts).encode())
        except CacheFileError as error:
            self.assertTrue(str(error))

    @settings(max_examples=50, deadline=None)
    @given(st.text(alphabet=st.characters(codec="utf-8"), max_size=50), st.floats(0, 1e11, exclude_max=True))
    def test_round_trip(self, extension: str, fetched: float) -> None:
        """Every policy that can be fetched is read back as it was."""
        try:
            entry = entry_of(text=body() + f"x: {extension}\n".encode(), fetched=fetched)
        except PolicyError:
            return
        self.assertEqual(decode_entry(encode_entry(entry)), entry)


class CacheTests(StoreCase):
    """`PolicyCache` with a store on top."""

    def faults(self) -> list[str]:
        """What was told since the last time."""
        told = [event.text for event in self.sink.of(events.Fault)]
        self.sink.events.clear()
        return told

    def test_restart(self) -> None:
        """A policy outlives the process, with its id and times."""
        self.current()
        before = self.store.cache.get(D)
        self.store = self.make_store()
        self.assertEqual(self.store.cache.get(D), before)
        self.assertEqual((self.current().how, self.fetcher.fetches, self.faults()), ("cached", 1, []))

    def test_first_start(self) -> None:
        """A folder that doesn't exist yet is nothing to speak of."""
        self.assertEqual((self.folder.exists(), self.faults()), (False, []))

    def test_a30_damaged(self) -> None:
        """A30: each kind of damage is told, and the policy is fetched again; other files don't suffer."""
        self.current()
        path = self.folder / file_name(D)
        write_entry(self.folder, entry_of("other.test"))
        good = path.read_bytes()
        for damage in (
            b"",
            b"{",
            good[:40],
            b"[1]",
            b"null",
            b"\xff\xfe",
            b"[" * 100_000,
            good.replace(b'"1"', b'"!"'),
            good.replace(b"1000000.0", b'"soon"'),
            good.replace(b"STSv1", b"STSv9"),
            good.replace(b"one.test", b"two.test"),
            good[:-3] + b" " * 9 * MAX_SIZE + good[-3:],
        ):
            path.write_bytes(damage)
            self.store = self.make_store()
            (told,) = self.faults()
            self.assertIn("MTA-STS cache: one.test.json is damaged (", told)
            self.assertIn("; the policy will be fetched again", told)
            self.assertIsNotNone(self.store.cache.get("other.test"))
            self.assertEqual(self.current().how, "fetched")
            self.assertEqual(decode_entry(path.read_bytes()).domain, D)

    def test_a30_directory(self) -> None:
        """A30: a directory in the place of a file is told when it is read and when it can't be written; memory serves."""
        (self.folder / file_name(D)).mkdir(parents=True)
        self.store = self.make_store()
        self.assertIn("one.test.json can't be read (Is a directory)", self.faults()[0])
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])
        self.assertIn("can't be written", self.faults()[0])

    def test_a30_no_permission(self) -> None:
        """A30: a file without permissions is told; what is enforced comes from a fetch."""
        self.current()
        path = self.folder / file_name(D)
        path.chmod(0)
        if os.geteuid() == 0:  # who may read everything
            os.seteuid(NOBODY)
            self.addCleanup(os.seteuid, 0)
        self.store = self.make_store()
        self.assertIn("can't be read (Permission denied)", self.faults()[0])
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])

    def test_a30_unwritable(self) -> None:
        """A30: a folder that can't be read and written is told once, and decisions are the same."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.write_text("not a folder")
        self.store = self.make_store()
        self.assertIn("can't be read (Not a directory)", self.faults()[0])
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])
        self.txt("v=STSv1; id=2;")
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])
        (told,) = self.faults()
        self.assertIn("can't be written", told)
        self.assertIn("policies are kept in memory only", told)
        self.folder.unlink()
        self.txt("v=STSv1; id=3;")
        self.current()
        self.assertEqual([path.name for path in self.folder.iterdir()], ["one.test.json"])
        (self.folder / "one.test.json").unlink()
        self.folder.rmdir()
        self.folder.write_text("not a folder")
        self.txt("v=STSv1; id=4;")
        self.current()
        self.assertEqual(len(self.faults()), 1)

    def test_a30_known_stays_enforced(self) -> None:
        """A30: what memory knows is enforced though its file is gone and the record can't be read."""
        self.current()
        (self.folder / file_name(D)).unlink()
        self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)
        self.assertEqual(self.current().how, "cached")

    def test_expired_on_disk(self) -> None:
        """A policy that expired while the gateway was down isn't used."""
        self.current()
        self.clock.advance(WEEK)
        self.store = self.make_store()
        self.assertEqual(self.current().how, "fetched")

    def test_wrong_name(self) -> None:
        """A file under another domain's name doesn't count for either."""
        self.current()
        (self.folder / "one.test.json").rename(self.folder / "two.test.json")
        self.store = self.make_store()
        self.assertEqual(len(self.store.cache), 0)
        self.assertIn("two.test.json is damaged (it holds the policy of one.test)", self.faults()[0])

    def test_bounds(self) -> None:
        """Too many entries, or too much text: those used longest ago give way, on disk too; one is kept in any case."""
        for bound in ({"max_entries": 2}, {"max_text": 2 * len(body())}):
            cache = PolicyCache(self.folder, lambda work: Deferred.fromCoroutine(_done(work)), self.sink, **bound)
            for number in range(3):
                self.successResultOf(cache.put(entry_of(f"d{number}.test")))
                first = cache.get("d0.test")
                assert first is not None
                cache.use(first, 2_000_000.0)
            self.assertEqual([entry.domain for entry in cache], ["d2.test", "d0.test"])
            self.successResultOf(cache.flushed())
            self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["d0.test.json", "d2.test.json"])
        small = PolicyCache(self.folder, lambda work: Deferred.fromCoroutine(_done(work)), self.sink, max_text=1)
        small.put(entry_of())
        self.assertEqual(len(small), 1)

    def test_text_is_counted_once(self) -> None:
        """An entry that takes the place of another, or goes, frees its text."""
        cache = self.store.cache
        for _ in range(3):
            cache.put(entry_of())
        self.assertEqual(cache._text, len(body()))
        cache.remove(D)
        cache.remove(D)
        self.assertEqual(cache._text, 0)

    def test_loaded_late(self) -> None:
        """What was fetched before the files were read isn't replaced by them; nor does use bring back what is gone."""
        write_entry(self.folder, entry_of())
        newer = entry_of(fetched=2_000_000.0)
        self.store.cache.put(newer)
        write_entry(self.folder, entry_of())
        self.successResultOf(Deferred.fromCoroutine(self.store.cache.load()))
        self.assertEqual(self.store.cache.get(D), newer)
        self.store.cache.remove(D)
        self.store.cache.use(newer, 3_000_000.0)
        self.assertIsNone(self.store.cache.get(D))

    def test_used_is_written_with_the_next_check(self) -> None:
        """When a policy was last used is known after a restart as of its last renewal."""
        self.current()
        self.clock.advance(100)
        self.current()
        self.clock.advance(59)
        self.current()
        entry = self.store.cache.get(D)
        assert entry is not None
        self.assertEqual(entry.used, 1_000_100)
        self.successResultOf(Deferred.fromCoroutine(self.store.renew(entry)))
        self.assertEqual(
            decode_entry((self.folder / file_name(D)).read_bytes()), attrs.evolve(entry, checked=1_000_159)
        )


async def _done(work: object) -> object:
    return work()  # type: ignore[operator]
