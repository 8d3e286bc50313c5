"""The MTA-STS policies known on a real disk that is full: what was fetched then outlasts the process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute

from seg.events.gateway import ConditionBegan
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.policy import parse_policy
from seg.policy.mtasts.reserve import SPARES
from tests.doubles import RecordingSink
from tests.faults import test_disks

TEXT = b"version: STSv1\nmode: enforce\nmx: mx.one.test\nmax_age: 604800\n"


class PolicyDiskTests(test_disks.DiskCase):
    """A cache on a file system of its own."""

    def cache(self) -> PolicyCache:
        """As a new process has it: nothing is taken over but what is on disk."""

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            return execute(work)

        self.said = RecordingSink()
        cache = PolicyCache(self.disk / "cache" / "mta-sts", in_thread, self.said)
        self.successResultOf(Deferred.fromCoroutine(cache.begin()))
        return cache

    def put(self, cache: PolicyCache, domain: str) -> None:
        """Fetch a policy."""
        self.successResultOf(cache.put(CachedPolicy(domain, "1", parse_policy(TEXT), 1.0, 1.0, 1.0)))

    def test_full(self) -> None:
        """Without room for octets, or for names: as many policies as the reserve has files outlast the process, and others' writing takes
        nothing of it."""
        for options in ("size=4m", "size=8m,nr_inodes=60"):
            with self.subTest(options):
                self.mounted(self.disk, options)
                cache = self.cache()
                filler = test_disks.fill(self.disk)
                with contextlib.suppress(OSError):
                    for number in range(100):
                        (self.disk / str(number)).write_bytes(b"x" * 4096)
                for number in range(SPARES):
                    self.put(cache, f"d{number:02}.test")
                    with contextlib.suppress(OSError):
                        filler.open("ab").write(b"x" * 100_000)
                (told,) = self.said.of(ConditionBegan)
                self.assertIn(
                    "No space left on device): new policies to be enforced are written into the reserve", told.text
                )
                self.put(cache, "more.test")
                self.assertIn("policies are kept in memory only", self.said.of(ConditionBegan)[-1].text)
                known = sorted(known.domain for known in self.cache())
                self.assertEqual(known, [f"d{number:02}.test" for number in range(SPARES)])

    def test_no_room_at_the_start(self) -> None:
        """A disk that is full at the start has no reserve, and that is said."""
        self.mounted(self.disk, "size=1m")
        test_disks.fill(self.disk)
        self.cache()
        (told,) = self.said.of(ConditionBegan)
        self.assertIn("policies fetched on a full disk are kept in memory only", told.text)
