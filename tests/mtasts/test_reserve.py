"""A policy that was applied is on disk before mail depends on it, on a full disk too."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from seg.common.files import StateContent
from seg.dns.answer import FailureKind
from seg.events.gateway import ConditionBegan, ConditionEnded
from seg.policy.mtasts import reserve as reserve_module
from seg.policy.mtasts import saving
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.entry import CachedPolicy, file_name, read_entry
from seg.policy.mtasts.policy import parse_policy
from seg.policy.mtasts.reserve import SPARE_SIZE, SPARES, PolicyReserve
from seg.policy.mtasts.store import PolicyStore
from tests.mtasts.keeping import TXT, D, StoreCase, body


def refuse(number: int) -> Callable[..., None]:
    """What the system says of every file that isn't there yet."""

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


def entry_of(domain: str, text: bytes = body()) -> CachedPolicy:
    """An entry."""
    return CachedPolicy(domain, "1", parse_policy(text), 1.0, 1.0, 1.0)


class ReserveTests(SynchronousTestCase):
    """`PolicyReserve` by itself."""

    def setUp(self) -> None:
        """It is whole."""
        self.folder = Path(self.mktemp()) / "mta-sts"
        self.reserve = PolicyReserve(self.folder)
        self.reserve.fill()

    def left(self) -> int:
        """How many files there are."""
        return len(list(self.reserve.place.iterdir()))

    def test_whole(self) -> None:
        """So many files of that size; what was used or damaged is made again, and what is good is left alone."""
        first, second, third, fourth = sorted(self.reserve.place.iterdir())[:4]
        kept = sorted(self.reserve.place.iterdir())[-1].read_bytes()
        first.unlink()
        second.write_bytes(b"short")
        third.unlink()
        third.symlink_to("nowhere")
        fourth.unlink()
        fourth.mkdir()
        self.assertEqual(self.reserve.write([entry_of("one.test")]), ["one.test"])
        self.reserve.fill()
        spares = [
            path for path in sorted(self.reserve.place.iterdir()) if path.name.startswith("spare-") and path.is_file()
        ]
        self.assertEqual([path.stat().st_size for path in spares if path.suffix == ""], [SPARE_SIZE] * SPARES)
        self.assertEqual(spares[-1].read_bytes()[:100], kept[:100])

    def test_takes_no_room(self) -> None:
        """The file that is written is one that was there: the same inode, and no other is made."""
        inodes = {path.stat().st_ino for path in self.reserve.place.iterdir()}
        self.patch(Path, "write_bytes", refuse(errno.ENOSPC))
        for number in range(SPARES + 5):
            entry = entry_of(f"d{number}.test")
            self.assertEqual(self.reserve.write([entry]), [entry.domain] if number < SPARES else [])
        self.assertEqual({path.stat().st_ino for path in self.folder.iterdir()}, inodes)
        for number in range(SPARES):
            name = file_name(f"d{number}.test")
            self.assertEqual(read_entry(self.folder, name), StateContent(entry_of(f"d{number}.test")))

    def test_replaces(self) -> None:
        """An older entry, or a folder in its place, gives way."""
        self.reserve.write([entry_of("one.test")])
        newer = attrs.evolve(entry_of("one.test"), policy_id="2")
        self.reserve.write([newer])
        self.assertEqual(read_entry(self.folder, "one.test.json"), StateContent(newer))
        (self.folder / "two.test.json").mkdir()
        self.assertEqual(self.reserve.write([entry_of("two.test")]), ["two.test"])

    def test_too_large(self) -> None:
        """A policy that doesn't fit is left out, and takes nothing."""
        large = body() + b"".join(b"mx: %s.%d.test\n" % (b"x" * 60, number) for number in range(190))
        self.assertEqual(self.reserve.write([entry_of("large.test", large), entry_of("one.test")]), ["one.test"])
        self.assertEqual(self.left(), SPARES - 1)

    def test_not_in_place(self) -> None:
        """Where a file system wants room to write a file over, or for a name, some files are given up for it, and no more."""
        real = reserve_module._overwrite
        calls: list[Path] = []

        def overwrite(path: Path, data: bytes) -> None:
            calls.append(path)
            if len(calls) < 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(path, data)

        self.patch(reserve_module, "_overwrite", overwrite)
        self.assertEqual(self.reserve.write([entry_of("one.test")]), ["one.test"])
        self.assertEqual(self.left(), SPARES - 3)
        self.patch(reserve_module, "_overwrite", refuse(errno.EIO))
        self.assertEqual(self.reserve.write([entry_of("two.test")]), [])
        self.assertEqual(self.left(), SPARES - 6)

    def test_no_room_for_it(self) -> None:
        """A file of it that can't be written whole isn't left behind."""
        spare = min(self.reserve.place.iterdir())
        spare.unlink()

        def part(path: Path, data: bytes) -> int:
            path.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.patch(Path, "write_bytes", part)
        self.assertRaises(OSError, self.reserve.fill)
        self.assertFalse(spare.exists())


class FullDiskTests(StoreCase):
    """A store on a disk that has come to be full."""

    def setUp(self) -> None:
        """There is a reserve."""
        super().setUp()
        self.successResultOf(Deferred.fromCoroutine(self.store.cache.begin()))

    def fill_disk(self, number: int = errno.ENOSPC) -> None:
        """From now on no file can be made."""
        self.patch(saving, "write_entry", refuse(number))
        self.patch(Path, "write_bytes", refuse(number))

    def told(self) -> list[str]:
        """Conditions since the last time."""
        kinds = (ConditionBegan, ConditionEnded)
        found = [event.text for event in self.sink.events if isinstance(event, kinds)]
        self.sink.events.clear()
        return found

    def maintain(self) -> None:
        """Some time passes."""
        self.successResultOf(Deferred.fromCoroutine(self.store.cache.maintain()))

    def test_killed(self) -> None:
        """A policy that mail went by while the disk was full is in force after a kill, though the DNS shows nothing any more: also one that has
        changed meanwhile."""
        for number in (errno.ENOSPC, errno.EDQUOT):
            self.setUp()
            self.fill_disk(number)
            for policy_id in ("1", "2"):
                self.txt(f"v=STSv1; id={policy_id};")
                self.assertEqual(self.current().how, "fetched")
                self.clock.advance(300)
            (told,) = self.told()
            self.assertIn(f"({os.strerror(number)}): new policies to be enforced are written into the reserve", told)
            self.store = self.make_store()
            self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)
            self.assertEqual((self.current().how, self.known().policy_id), ("cached", "2"))
            self.doCleanups()

    def test_bounded(self) -> None:
        """So many policies are written down, those in force first; of more it is said that a restart would forget them. With room again all are
        written, and the reserve is made again."""
        self.fill_disk()
        put = self.store.cache.put
        for number in range(SPARES):
            put(entry_of(f"testing{number}.test", body("testing")))
        for number in range(SPARES + 3):
            put(entry_of(f"d{number}.test"))
        told = [text.rpartition(": ")[2] for text in self.told()]
        reserve = "new policies to be enforced are written into the reserve, others are kept in memory only"
        self.assertEqual(told, [reserve, "policies are kept in memory only"])
        restarted = self.make_store().cache
        self.assertEqual(
            sorted(known.domain for known in restarted), sorted(f"d{number}.test" for number in range(SPARES))
        )
        self.maintain()
        (told,) = self.told()
        self.assertIn("policies fetched on a full disk are kept in memory only", told)
        for patch in (Path, saving):
            self.patch(patch, "write_bytes" if patch is Path else "write_entry", REAL[patch])
        self.maintain()
        self.assertEqual(
            self.told(), ["policies can be written again", "there is room for policies that are fetched on a full disk"]
        )
        self.assertEqual(len(list(self.folder.iterdir())), 2 * SPARES + 3)
        self.assertEqual(len(list(self.folder.with_name("mta-sts.reserve").iterdir())), SPARES)

    def test_checks_take_nothing(self) -> None:
        """That a policy was looked at again, was used, or isn't enforced takes nothing of the reserve."""
        self.current()
        self.fill_disk()
        known = self.store.cache.known(D)
        assert known is not None
        for number in range(5):
            self.clock.advance(3600)
            self.successResultOf(Deferred.fromCoroutine(self.store.renew(known)))
            self.store.cache.put(entry_of(f"d{number}.test", body("testing")))
        self.store.cache.forget("d1.test")
        self.successResultOf(self.store.cache.flushed())
        self.assertEqual(len(list(self.folder.with_name("mta-sts.reserve").iterdir())), SPARES)

    def test_broken_disk(self) -> None:
        """A disk that is broken, not full, isn't helped by it."""
        self.fill_disk(errno.EIO)
        self.current()
        self.assertIn("Input/output error): policies are kept in memory only", self.told()[0])
        self.assertEqual(len(list(self.folder.with_name("mta-sts.reserve").iterdir())), SPARES)

    def test_durable_first(self) -> None:
        """Nobody hears of a policy that was fetched before it is on disk; who joins in waits, too."""
        waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            if self.loaded:
                waiting.append((work, Deferred()))
                return waiting[-1][1]
            return execute(work)

        self.loaded = False
        cache = PolicyCache(self.folder, in_thread, self.sink)
        self.successResultOf(Deferred.fromCoroutine(cache.load()))
        self.loaded = True
        store = PolicyStore(self.resolver, self.fetcher, cache, self.store._settings, self.sink, self.clock)
        asked = [Deferred.fromCoroutine(store.current(D)) for _ in range(2)]
        for each in asked:
            self.assertNoResult(each)
        ((work, done),) = waiting
        self.assertEqual(list(self.folder.iterdir()), [])
        done.callback(work())
        for each in asked:
            self.assertIsNotNone(self.successResultOf(each).policy)
        self.assertEqual(self.fetcher.fetches, 1)
        self.assertEqual(len(list(self.folder.iterdir())), 1)

    def test_replaced_while_it_is_written(self) -> None:
        """A policy that changes while it goes into the reserve is written again; one that is flushed meanwhile doesn't come back."""
        for change in (
            lambda cache: cache.put(attrs.evolve(entry_of(D), policy_id="2")),
            lambda cache: cache.forget(D),
        ):
            self.setUp()
            self.fill_disk()
            cache = self.store.cache
            real = cache._saving._reserve.write
            once: list[int] = []

            def write(
                entries: Any, change: Any = change, cache: Any = cache, real: Any = real, once: Any = once
            ) -> Any:
                done = real(entries)
                if not once:
                    once.append(1)
                    change(cache)
                return done

            self.patch(cache._saving._reserve, "write", write)
            cache.put(entry_of(D))
            self.maintain()
            restarted = self.make_store().cache
            known = restarted.known(D)
            self.assertEqual(known and known.policy_id, cache.known(D) and "2")
            self.doCleanups()


REAL = {Path: Path.write_bytes, saving: saving.write_entry}
