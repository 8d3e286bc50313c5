"""Who comes in at the admin API over TCP, and what is told of the others."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.http import APIError
from seg.admin.roles import Role
from seg.admin.token_access import Credentials, TokenAccess
from seg.admin.tokens import Token, hash_of, parse_day, parse_tokens, with_token, without_token
from seg.admin.wire.operations import OPERATIONS, needed_role
from seg.auth.backoff import FREE, MOST, WINDOW, Backoff
from seg.auth.reloading_file import FileFormat, ReloadingFile
from seg.auth.users_file import change
from seg.events.gateway import AdminRefused, ConditionBegan, Fault
from tests.doubles import RecordingSink

HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.2")
NOON = 1_800_000_000.0  # 2027-01-15
WATCH, LOOK, ACT, LATE = "seg_watch", "seg_look", "seg_act", "seg_late"
FILE = (
    Token("watcher", Role.LOOK, hash_of(LOOK.encode())),
    Token("alice", Role.ACT, hash_of(ACT.encode()), parse_day("2027-01-15")),
    Token("late", Role.ACT, hash_of(LATE.encode()), parse_day("2027-01-14")),
    Token("graphs", Role.WATCH, hash_of(WATCH.encode())),
)


class DoorTests(SynchronousTestCase):
    """`TokenAccess`, over a tokens file on disk."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-tokens-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.path = self.folder / "tokens"
        for token in FILE:
            change(self.path, lambda text, token=token: with_token(text, token))  # type: ignore[misc]
        self.clock = Clock()
        self.clock.advance(NOON)
        self.sink = RecordingSink()
        kind = FileFormat("tokens file", parse_tokens, "no token counts", "seg token add")
        tokens = ReloadingFile(self.path, kind, execute, self.sink, self.clock.seconds, 0.0)
        self.door = TokenAccess(tokens, Backoff(self.clock.seconds), self.clock, self.sink)

    def ask(self, *headers: bytes, method: str = "GET", address: Any = HERE) -> Deferred[str]:
        """What becomes of a request."""
        found: Awaitable[str] = self.door.admit(Credentials(address, method, "/v1/status", headers))
        return Deferred.fromCoroutine(found)  # type: ignore[arg-type]

    def admitted(self, secret: str, method: str = "GET") -> str:
        """The operator's name."""
        return self.successResultOf(self.ask(f"Bearer {secret}".encode(), method=method))

    def refused(self, *headers: bytes, method: str = "GET", address: Any = HERE) -> APIError:
        """The refusal, once its delay is over."""
        asked = self.ask(*headers, method=method, address=address)
        self.clock.advance(0)
        self.clock.advance(60)
        error: APIError = self.failureResultOf(asked, APIError).value
        return error

    def test_roles(self) -> None:
        """Who may act may do all, who may look only GET; the name says that it is a token's."""
        self.assertEqual(self.admitted(ACT), "token alice")
        self.assertEqual(self.admitted(ACT, "DELETE"), "token alice")
        self.assertEqual(self.admitted(LOOK), "token watcher")
        for method in ("POST", "DELETE", "PUT", "HEAD", "get", "OPTIONS"):
            error = self.refused(b"Bearer seg_look", method=method)
            self.assertEqual(error.status, 403)
            self.assertIn("insufficient_scope", error.headers["www-authenticate"])
        self.assertEqual(
            self.sink.of(AdminRefused)[0], AdminRefused("192.0.2.1", "token watcher may look only: POST /v1/status")
        )
        self.assertEqual(self.admitted(LOOK), "token watcher")  # it is no failure

    def test_every_operation(self) -> None:
        """Of all that the API serves, each role may what docs/admin-api.md says: watch gets nothing of any message or of the configuration."""
        watched = {
            ("GET", f"/v1/{name}") for name in ("openapi", "status", "metrics", "workqueue", "dns", "suspension")
        }
        for each in OPERATIONS:
            method, path = each.method, each.path.replace("{mid}", "7").replace("{number}", "7")
            for secret, may in ((WATCH, (method, path) in watched), (LOOK, method == "GET"), (ACT, True)):
                found = self.door.admit(Credentials(HERE, method, path, (f"Bearer {secret}".encode(),)))
                asked = Deferred.fromCoroutine(found)  # type: ignore[arg-type]
                if may:
                    self.successResultOf(asked)
                else:
                    self.assertEqual(self.failureResultOf(asked, APIError).value.status, 403, (method, path, secret))
        for path in ("/v1/status/", "//v1/status", "/v1/status/../messages", "/v1/%73tatus", "/V1/STATUS", ""):
            self.assertFalse(Role.WATCH.may(needed_role("GET", path)))

    def test_refusals(self) -> None:
        """Without a token that counts: 401, with the challenge of RFC 6750, and a line that doesn't tell the token."""
        for headers, reason, challenge in (
            ((), "no token", 'Bearer realm="seg"'),
            ((b"Bearer seg_wrong",), "unknown token", "invalid_token"),
            ((b"Basic YTpi",), "unknown token", 'Bearer realm="seg"'),
            ((b"Bearer",), "unknown token", 'Bearer realm="seg"'),
            ((b"Bearer \xff\x00",), "unknown token", 'Bearer realm="seg"'),
            ((b"Bearer " + b"x" * 201,), "unknown token", 'Bearer realm="seg"'),
            ((b"Bearer seg_act", b"Bearer seg_act"), "unknown token", 'Bearer realm="seg"'),
            ((b"Bearer seg_late",), "token late counted until 2027-01-14", "invalid_token"),
        ):
            error = self.refused(*headers)
            self.assertEqual((error.status, self.sink.of(AdminRefused)[-1].reason), (401, reason), headers)
            self.assertIn(challenge, error.headers["www-authenticate"])
            self.assertIn(reason, error.text)
        self.assertNotIn("seg_wrong", repr(self.sink.events))

    def test_scheme(self) -> None:
        """The scheme's case doesn't count (RFC 9110 §11.1)."""
        self.assertEqual(self.successResultOf(self.ask(b"bearer  seg_act ")), "token alice")

    def test_end(self) -> None:
        """A token counts until midnight UTC of its last day, and no longer."""
        self.assertEqual(self.admitted(ACT), "token alice")
        self.clock.advance(86400)
        self.assertIn("counted until 2027-01-15", self.refused(b"Bearer seg_act").text)

    def test_changes(self) -> None:
        """What the file says counts at once; while it can't be read nobody comes in, and it is told once."""
        change(self.path, lambda text: without_token(text, "alice"))
        self.assertEqual(self.refused(b"Bearer seg_act").status, 401)
        change(self.path, lambda text: with_token(text, FILE[1]))
        self.assertEqual(self.admitted(ACT), "token alice")
        self.path.unlink()
        self.path.mkdir()
        for _ in range(2):
            self.assertEqual(self.refused(b"Bearer seg_act").status, 503)
        self.assertEqual(len(self.sink.of(ConditionBegan)), 1)

    def test_prepared(self) -> None:
        """A first look tells what is wrong with the file, and fails on nothing."""
        self.path.unlink()
        self.successResultOf(Deferred.fromCoroutine(self.door.prepare()))
        self.path.mkdir()
        self.successResultOf(Deferred.fromCoroutine(self.door.prepare()))
        (missing,), (unreadable,) = self.sink.of(Fault), self.sink.of(ConditionBegan)
        self.assertEqual(missing.text, f"tokens file {self.path}: it isn't there, so no token counts (seg token add)")
        self.assertIn("it can't be read (not a regular file); no token counts until it can be", unreadable.text)

    def test_broken_line(self) -> None:
        """A line that can't be read harms nobody, and is told."""
        change(self.path, lambda text: "bob boss\n" + text)
        self.assertEqual(self.admitted(ACT), "token alice")
        (fault,) = self.sink.of(Fault)
        self.assertIn("line 1: bob: a line has", fault.text)

    def test_back_off(self) -> None:
        """Failures are answered later and later; then the address is turned away, unheard and untold, for a while."""
        for number in range(MOST):
            asked = self.ask(b"Bearer x")
            self.clock.advance(0)
            self.assertEqual(asked.called, number + 1 < FREE, number)
            self.clock.advance(30)
            self.failureResultOf(asked, APIError)
        told = self.sink.of(AdminRefused)
        self.assertEqual(len(told), MOST)
        self.assertEqual(told[-1].reason, "unknown token; turned away for ten minutes now")
        error = self.refused(b"Bearer seg_act")
        self.assertEqual((error.status, error.headers), (429, {"retry-after": "600"}))
        self.door.failed(HERE, "a large body")
        self.assertEqual(len(self.sink.of(AdminRefused)), MOST)
        self.assertEqual(self.successResultOf(self.ask(b"Bearer seg_act", address=THERE)), "token alice")
        self.clock.advance(WINDOW)
        self.assertEqual(self.admitted(ACT), "token alice")

    def test_right_one_wipes(self) -> None:
        """Whoever is let in isn't held up, and takes the failures of the address away."""
        for _ in range(5):
            for _ in range(MOST - 1):
                self.refused(b"Bearer x")
            self.assertEqual(self.admitted(ACT), "token alice")

    def test_large_bodies(self) -> None:
        """Only a token for all, known from the last look, may send much."""
        asks = [
            Credentials(HERE, "", "", headers)
            for headers in ((), (b"Bearer seg_act",), (b"Bearer seg_look",), (b"Bearer seg_late",))
        ]
        self.assertFalse(any(self.door.knows(ask) for ask in asks))
        self.admitted(LOOK)
        self.assertEqual([self.door.knows(ask) for ask in asks], [False, True, False, False])

    def test_secrets_unseen(self) -> None:
        """What a client shows isn't in a repr."""
        self.assertNotIn("seg_act", repr(Credentials(HERE, "GET", "/", (b"Bearer seg_act",))))
