"""The policies known, in memory and on disk: they outlive the process, and damage costs a fetch at the most."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from seg.common.files import StateAbsent, StateContent, StateFile, StateUnreadable
from seg.dns.answer import FailureKind
from seg.events.conditions import Condition
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind, Fault
from seg.events.policy import STSCacheHit, STSSucceeded
from seg.policy.mtasts import cache as cache_module
from seg.policy.mtasts import saving
from seg.policy.mtasts.cache import PolicyCache, PolicyLost
from seg.policy.mtasts.entry import (
    CachedPolicy,
    CacheFileError,
    decode_entry,
    encode_entry,
    file_name,
    read_entry,
    write_entry,
)
from seg.policy.mtasts.errors import FetchError, FetchFault, PolicyError
from seg.policy.mtasts.policy import MAX_SIZE, parse_policy
from tests.mtasts.keeping import TXT, WEEK, D, StoreCase, body

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
                ' "delivered": false,',
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
        self.assertEqual(read_entry(folder, name), StateContent(entry_of(domain)))

    def test_atomic(self) -> None:
        """A write that fails half-way leaves the old entry as it was."""
        folder = Path(self.mktemp())
        write_entry(folder, entry_of())
        (folder / "one.test.new").mkdir()
        self.assertRaises(OSError, write_entry, folder, entry_of(fetched=2_000_000.0))
        self.assertEqual(read_entry(folder, "one.test.json"), StateContent(entry_of()))

    def test_left_over(self) -> None:
        """What a write that was cut off left behind is no entry, and gives way to the next write."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "one.test.new").write_bytes(b'{"domain": "one')
        self.assertEqual(read_entry(folder, "one.test.json"), StateAbsent())
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

    def told(self) -> list[str]:
        """Faults and conditions since the last time."""
        kinds = (Fault, ConditionBegan, ConditionEnded)
        found = [event.text for event in self.sink.events if isinstance(event, kinds)]
        self.sink.events.clear()
        return found

    def unreadable(self, name: str, why: int) -> None:
        """The system doesn't let us read a file, from now on."""

        def failing(folder: Path, asked: str) -> StateFile[CachedPolicy]:
            return StateUnreadable(os.strerror(why)) if asked == name else read_entry(folder, asked)

        self.patch(cache_module, "read_entry", failing)

    def test_restart(self) -> None:
        """A policy outlives the process, with its id and times."""
        self.current()
        before = self.known()
        self.store = self.make_store()
        self.assertEqual(self.known(), before)
        self.assertEqual((self.current().how, self.fetcher.fetches, self.told()), ("cached", 1, []))

    def test_first_start(self) -> None:
        """A folder that doesn't exist yet is nothing to speak of."""
        self.assertEqual((self.folder.exists(), self.told()), (False, []))

    def damages(self, good: bytes) -> dict[str, Callable[[Path], object]]:
        """Ways to damage a file."""
        contents = (
            b"",
            b"{",
            good[:40],
            b"[1]",
            b"null",
            b"\xff\xfe",
            b"[" * 100_000,
            os.urandom(500),
            good.replace(b'"1"', b'"!"'),
            good.replace(b"1000000.0", b'"soon"'),
            good.replace(b"STSv1", b"STSv9"),
            good.replace(b"one.test", b"two.test"),
            good[:-3] + b" " * 9 * MAX_SIZE + good[-3:],
        )
        ways: dict[str, Callable[[Path], object]] = {
            f"content {number}": lambda path, data=data: path.write_bytes(data) for number, data in enumerate(contents)
        }
        ways["huge"] = lambda path: os.truncate(path, 200_000_000)
        ways["folder"] = lambda path: (path.unlink(), path.mkdir(), (path / "x").write_bytes(b"x"))
        ways["link"] = lambda path: (path.unlink(), path.symlink_to("nowhere"))
        ways["loop"] = lambda path: (path.unlink(), path.symlink_to(path.name))
        ways["pipe"] = lambda path: (path.unlink(), os.mkfifo(path))
        return ways

    def test_a30_damaged(self) -> None:
        """A30: each kind of damage is told, and the policy is fetched again; other files don't suffer."""
        self.current()
        path = self.folder / file_name(D)
        write_entry(self.folder, entry_of("other.test"))
        good = path.read_bytes()
        for name, damage in self.damages(good).items():
            self.clock.advance(300)
            damage(path)
            self.sink.events.clear()
            self.store = self.make_store()
            told = self.told()
            self.assertIn("MTA-STS cache: one.test.json is damaged (", told[0], name)
            self.assertIn("; the policy will be fetched again", told[0])
            self.assertIn("mail waits until their policies are fetched again", told[1])
            self.assertIsNotNone(self.store.cache.known("other.test"))
            self.assertEqual((self.current().how, self.current().how), ("fetched", "cached"))
            self.assertEqual(decode_entry(path.read_bytes()).domain, D)
            self.assertEqual(self.told(), ["what was damaged has been fetched again"])

    def test_damaged_is_never_weaker(self) -> None:
        """What can't be read, and not fetched anew, isn't taken for no policy, whatever the record says; until it is flushed."""
        self.current()
        path = self.folder / file_name(D)
        good = path.read_bytes()
        for name, damage in self.damages(good).items():
            damage(path)
            self.store = self.make_store()
            for change in (
                self.txt,
                lambda: self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL),
                lambda: (self.resolver.mend(TXT, "TXT"), self.txt("v=STSv1; id=2;")),
            ):
                change()
                self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
                asked = Deferred.fromCoroutine(self.store.current(D))
                self.assertIn("one.test.json", self.failureResultOf(asked, PolicyLost).value.text, name)
            self.txt()
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.store.cache.flush(None))), 1)
            self.assertEqual(self.current().reason, "no policy")
            self.assertFalse(os.path.lexists(path))
            path.write_bytes(good)

    def test_unreadable(self) -> None:
        """A file that the system doesn't let us read is left alone, and tried again: mail waits until it is known what it holds."""
        self.current()
        for why in (errno.EACCES, errno.EIO, errno.EMFILE):
            self.unreadable(file_name(D), why)
            self.store = self.make_store()
            self.assertIn(f"one.test.json can't be read ({os.strerror(why)}): mail waits", self.told()[0])
            self.txt()
            asked = Deferred.fromCoroutine(self.store.current(D))
            self.assertIn(f"can't be read ({os.strerror(why)})", self.failureResultOf(asked, PolicyLost).value.text)
            self.assertEqual(self.current(domain="two.test").reason, "no policy")
            self.patch(cache_module, "read_entry", read_entry)
            self.successResultOf(Deferred.fromCoroutine(self.store.cache.maintain()))
            self.assertEqual(self.told(), ["all files can be read again"])
            self.assertEqual(self.current().how, "cached")

    def test_unreadable_but_fetched(self) -> None:
        """A file that can't be read is no matter where the policy can be fetched."""
        self.current()
        self.unreadable(file_name(D), errno.EACCES)
        self.store = self.make_store()
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])

    def test_unreadable_folder(self) -> None:
        """A folder that can't be looked into may hold any domain's policy: mail waits where none can be fetched, and it is said."""
        self.current()

        def failing(folder: Path) -> list[str]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        self.unreadable("two.test.json", errno.EIO)
        listdir = self.patch(os, "listdir", failing)
        self.store = self.make_store()
        self.assertIn("can't be read (Input/output error): mail waits", self.told()[0])
        self.failureResultOf(Deferred.fromCoroutine(self.store.current("two.test")), PolicyLost)
        self.assertEqual(self.current().how, "cached")
        listdir.restore()
        self.successResultOf(Deferred.fromCoroutine(self.store.cache.maintain()))
        self.assertEqual(self.current(domain="two.test").reason, "no policy")

    def test_no_folder(self) -> None:
        """Something else in the folder's place is put aside."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.write_text("not a folder")
        self.store = self.make_store()
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["one.test.json"])
        self.assertEqual(self.folder.with_name("mta-sts.damaged").read_text(), "not a folder")

    def test_a30_unwritable(self) -> None:
        """A30: a disk that is full or broken is told once, and decisions are the same; what couldn't be written is, as soon as it can."""
        real = saving.write_entry

        def full(folder: Path, entry: CachedPolicy) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.patch(saving, "write_entry", full)
        for number in range(3):
            self.txt(f"v=STSv1; id={number};")
            self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])
            self.clock.advance(300)
        self.store.cache._memory.pop(D)
        self.assertEqual(self.current().how, "cached")
        (told,) = self.told()
        self.assertIn("can't be written (No space left on device): policies are kept in memory only", told)
        self.patch(saving, "write_entry", real)
        self.successResultOf(Deferred.fromCoroutine(self.store.cache.maintain()))
        self.assertEqual(decode_entry((self.folder / "one.test.json").read_bytes()).policy_id, "2")
        self.assertEqual(self.told(), ["policies can be written again"])

    def test_a30_known_stays_enforced(self) -> None:
        """A30: what memory knows is enforced though its file is gone and the record can't be read."""
        self.current()
        (self.folder / file_name(D)).unlink()
        self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)
        self.assertEqual(self.current().how, "cached")

    def test_gone(self) -> None:
        """A file that went while only the disk had the policy: it is fetched anew, or mail waits."""
        self.current()
        (self.folder / file_name(D)).unlink()
        self.store.cache._memory.pop(D)
        self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)
        asked = Deferred.fromCoroutine(self.store.current(D))
        self.assertIn("it is gone", self.failureResultOf(asked, PolicyLost).value.text)
        self.resolver.mend(TXT, "TXT")
        self.assertEqual(self.current().how, "fetched")

    def test_gone_without_being_enforced(self) -> None:
        """With the file of a policy that was only tested nothing is lost that mail would have to wait for."""
        self.fetcher.answer = body("testing")
        self.current()
        (self.folder / file_name(D)).unlink()
        self.store.cache._memory.pop(D)
        self.txt()
        self.assertEqual(self.current().reason, "no policy")

    def test_two_writes(self) -> None:
        """Who keeps a policy while another one is being written waits for his own."""
        held: Deferred[Any] = Deferred()
        waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            waiting.append((work, held if not waiting else Deferred()))
            return waiting[-1][1]

        conditions = (Condition(self.sink, ConditionKind.POLICIES, subject) for subject in ("write", "reserve"))
        writer = saving.PolicySaving(self.folder, in_thread, *conditions)
        writer.put("one.test", entry_of())
        first = writer.flushed()
        writer.put("two.test", entry_of("two.test"))
        second = writer.flushed()
        for number in range(2):
            self.assertNoResult(second)
            work, done = waiting[number]
            done.callback(work())
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(len(list(self.folder.iterdir())), 2)

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
        self.assertIn("two.test.json is damaged (", self.told()[0])

    def test_foreign_files(self) -> None:
        """Files that can't be entries by their names are left alone."""
        self.folder.mkdir(parents=True)
        for name in ("README", ".json", "a b.json", "one.test.new", "one.test.json.damaged"):
            (self.folder / name).write_bytes(b"x")
        self.store = self.make_store()
        self.assertEqual((self.told(), len(list(self.folder.iterdir()))), ([], 5))

    def test_loaded_late(self) -> None:
        """What was fetched before the files were read isn't replaced by them; nor does use bring back what is gone."""
        write_entry(self.folder, entry_of())
        newer = entry_of(fetched=2_000_000.0)
        self.store.cache.put(newer)
        write_entry(self.folder, entry_of())
        self.successResultOf(Deferred.fromCoroutine(self.store.cache.load()))
        self.assertEqual(self.known(), newer)
        self.store.cache.remove(D)
        self.store.cache.use(D, 3_000_000.0)
        self.assertIsNone(self.store.cache.known(D))

    def test_asked_for_while_loading(self) -> None:
        """A domain that is asked for before all files are read has its own read at once; nothing weaker is concluded meanwhile."""
        self.current()
        waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            waiting.append((work, done))
            return done

        late = PolicyCache(self.folder, in_thread, self.sink)
        loading = Deferred.fromCoroutine(late.load())
        asked = Deferred.fromCoroutine(late.get(D))
        for work, done in waiting[1:]:
            done.callback(work())
        entry = self.successResultOf(asked)
        assert entry is not None
        self.assertEqual(entry.domain, D)
        for work, done in waiting[:1]:
            done.callback(work())
        while not loading.called:
            work, done = waiting[-1]
            done.callback(work())
        self.assertEqual(len(late), 1)

    def test_asked_for_while_it_is_read(self) -> None:
        """A file that is asked for while all are read counts as it was read first."""
        self.current()
        waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            waiting.append((work, done))
            return done

        late = PolicyCache(self.folder, in_thread, self.sink, max_memory=1)
        loading = Deferred.fromCoroutine(late.load())
        asked = [Deferred.fromCoroutine(late.get(D)) for _ in range(2)]
        for number in (0, 1, 2, 3):
            work, done = waiting[number]
            done.callback(work())
        found = [self.successResultOf(each) for each in asked]
        self.assertEqual([entry.domain for entry in found if entry is not None], [D, D])
        self.successResultOf(loading)
        self.assertEqual(len(late), 1)

    def test_shown_while_loading(self) -> None:
        """What people ask to see is what is there: a policy that is kept, none that is gone or damaged."""
        for number in range(3):
            write_entry(self.folder, entry_of(f"d{number}.test"))
        (self.folder / "d1.test.json").write_bytes(b"x")
        (self.folder / "d2.test.json").unlink()
        self.store = self.make_store()
        shown = Deferred.fromCoroutine(self.store.cache.read([f"d{number}.test" for number in range(3)]))
        self.assertEqual([entry.domain for entry in self.successResultOf(shown)], ["d0.test"])

    def test_gone_while_loading(self) -> None:
        """A file that went between the listing and its reading was none: nothing is known of it that could be lost."""
        self.current()
        waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            waiting.append((work, done))
            return done

        late = PolicyCache(self.folder, in_thread, self.sink)
        loading = Deferred.fromCoroutine(late.load())
        work, done = waiting[0]
        done.callback(work())
        (self.folder / file_name(D)).unlink()
        asked = Deferred.fromCoroutine(late.get(D))
        work, done = waiting[2]
        done.callback(work())
        self.assertIsNone(self.successResultOf(asked))
        work, done = waiting[1]
        done.callback(work())
        self.successResultOf(loading)
        self.assertEqual((len(late), self.told()[1:]), (0, []))

    def test_many_damaged(self) -> None:
        """A folder full of damaged files gets some lines, and only so many are remembered."""
        self.patch(cache_module, "MAX_LOST", 30)
        self.folder.mkdir(parents=True)
        for number in range(40):
            (self.folder / f"d{number}.test.json").write_bytes(b"x")
        self.store = self.make_store()
        told = self.sink.of(Fault)
        self.assertEqual((len(told), len(self.store.cache._lost)), (cache_module.MOST_TOLD, 30))

    def test_flushed_by_name(self) -> None:
        """One policy is flushed by its domain, whatever became of its file; of one that isn't there nothing is."""
        self.current()
        flush = self.store.cache.flush
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(flush("two.test"))), 0)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(flush(D))), 1)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_over_and_back(self) -> None:
        """A policy that was over by a clock gone wrong, and is used again, isn't among the first to go any more."""
        self.current()
        cache = self.store.cache
        known = cache.known(D)
        assert known is not None
        before = known.rank
        cache.over("two.test")
        cache.over(D)
        self.assertLess(known.rank, before)
        self.current()
        self.assertEqual((known.rank, known.over), (before, False))

    def test_delivered_without_a_policy(self) -> None:
        """That mail went by a policy which is gone by now changes nothing."""
        self.current()
        self.store.cache.heard(STSCacheHit(D))
        for _ in range(2):
            self.store.cache.heard(STSSucceeded("two.test"))
            self.store.cache.heard(STSSucceeded(D))
        self.assertEqual([known.domain for known in self.store.cache], [D])

    def test_used_is_written_with_the_next_check(self) -> None:
        """When a policy was last used is known after a restart as of its last renewal."""
        self.current()
        self.clock.advance(100)
        self.current()
        self.clock.advance(59)
        self.current()
        entry = self.known()
        self.assertEqual(entry.used, 1_000_100)
        known = self.store.cache.known(D)
        assert known is not None
        self.successResultOf(Deferred.fromCoroutine(self.store.renew(known)))
        self.assertEqual(
            decode_entry((self.folder / file_name(D)).read_bytes()), attrs.evolve(entry, checked=1_000_159)
        )


class FloodTests(StoreCase):
    """Many policies of others."""

    def small(self, **bounds: int) -> PolicyCache:
        """A cache with small bounds in place of the store's."""

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            return execute(work)

        made = PolicyCache(self.folder, in_thread, self.sink, **bounds)
        self.successResultOf(Deferred.fromCoroutine(made.load()))
        self.store.cache = made
        return made

    def test_flood(self) -> None:
        """An enforce policy in force outlasts any number of others up to the bound: memory lets it go, the disk doesn't."""
        cache = self.small(max_memory=5_000)
        self.current()
        for number in range(1_100):
            cache.put(entry_of(f"d{number}.test"))
        self.assertLess(cache._memory.weight, 5_001)
        self.assertIsNone(cache._memory.get(D))
        for change in (lambda: None, self.txt, lambda: self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)):
            change()
            finding = self.current()
            assert finding.policy is not None
            self.assertEqual((finding.how, finding.policy.mx), ("cached", ("mx.one.test",)))

    def test_local_fault_while_read_back(self) -> None:
        """A policy that only the disk has, and that can't be read now (no descriptors, EIO), isn't taken for none."""
        cache = self.small(max_memory=1)
        self.current()
        cache.put(entry_of("two.test"))
        self.txt()
        for number in (errno.EMFILE, errno.EIO, errno.ENFILE, errno.ESTALE):

            def failing(folder: Path, name: str, number: int = number) -> object:
                return StateUnreadable(os.strerror(number))

            self.patch(cache_module, "read_entry", failing)
            asked = Deferred.fromCoroutine(self.store.current(D))
            self.assertIn(os.strerror(number), self.failureResultOf(asked, PolicyLost).value.text)
        self.patch(cache_module, "read_entry", read_entry)
        self.assertEqual(self.current().how, "cached")

    def test_order_of_eviction(self) -> None:
        """Above the bound go: mode none, testing, enforce by which no mail went, and last those by which some did."""
        kinds = {
            "none": b"version: STSv1\nmode: none\nmax_age: 604800\n",
            "testing": body("testing"),
            "untried": body(),
            "tried": body(),
        }
        order = ["tried", "untried", "testing", "none"]
        cache = self.small(max_entries=len(order))
        for kind in order:
            cache.put(entry_of(f"{kind}.test", kinds[kind]))
        cache.heard(STSSucceeded("tried.test"))
        cache.heard(STSSucceeded("new.test"))
        for number, gone in enumerate(("none", "testing", "untried")):
            self.assertEqual(self.sink.of(ConditionBegan), [])
            cache.put(entry_of(f"new{number}.test"))
            cache.heard(STSSucceeded(f"new{number}.test"))
            self.assertIsNone(cache.known(f"{gone}.test"), gone)
            self.assertFalse((self.folder / f"{gone}.test.json").exists())
        (told,) = self.sink.of(ConditionBegan)
        self.assertIn("more than 4 MTA-STS policies: ones in force are forgotten", told.text)
        self.assertIsNotNone(cache.known("tried.test"))
        for number in range(10):
            cache.put(entry_of(f"more{number}.test"))
        self.assertIsNotNone(cache.known("tried.test"))
        self.assertEqual((len(cache), len(list(self.folder.iterdir()))), (4, 4))
        self.assertEqual(len(self.sink.of(ConditionBegan)), 1)
        self.successResultOf(Deferred.fromCoroutine(cache.flush(None)))
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_delivered_is_kept(self) -> None:
        """That mail went by a policy is known after a restart, and with its successor."""
        self.current()
        self.store.cache.heard(STSSucceeded(D))
        known = self.store.cache.known(D)
        assert known is not None
        self.successResultOf(Deferred.fromCoroutine(self.store.renew(known)))
        self.store = self.make_store()
        self.assertTrue(self.known().delivered)
        self.txt("v=STSv1; id=2;")
        self.clock.advance(300)
        self.assertEqual((self.current().how, self.known().delivered), ("fetched", True))

    def test_memory_keeps_no_text(self) -> None:
        """Of a policy of 64 KiB memory keeps what counts: mode, hosts, times."""
        self.fetcher.answer = body() + b"x-remark: abcdefghijklmnopqrstuvwxyz\n" * 1700
        finding = self.current()
        assert finding.policy is not None
        self.assertEqual(finding.policy.text.encode(), body())
        self.assertLess(self.known().size, 1_000)

    def test_memory_is_bounded_on_a_broken_disk(self) -> None:
        """Policies that can't be written don't fill the memory; what is lost with them is fetched anew, never taken for none."""

        def broken(folder: Path, entry: CachedPolicy) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        self.patch(saving, "write_entry", broken)
        self.patch(saving, "MAX_UNSAVED", 100_000)
        cache = self.small(max_memory=1)
        self.current()
        for number in range(1_000):
            cache.put(entry_of(f"d{number}.test"))
        self.assertLess(cache._saving.octets, 200_000)
        self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)
        self.failureResultOf(Deferred.fromCoroutine(self.store.current(D)), PolicyLost)
        self.resolver.mend(TXT, "TXT")
        self.assertEqual(self.current().how, "fetched")
