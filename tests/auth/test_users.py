"""The users file: its grammar, its changes, and the store that reads it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from seg.auth.interfaces import CheckUnavailable
from seg.auth.names import InvalidName, prepare_name, prepare_password
from seg.auth.passwords import DECOY, check_password, hash_fault, hash_password
from seg.auth.reloading_file import MOST_TOLD
from seg.auth.scram_keys import derive, format_keys
from seg.auth.store import UserStore
from seg.auth.users import User, parse_users, with_user, without_user
from seg.auth.users_file import change
from seg.events.gateway import ConditionBegan, ConditionEnded, Fault
from tests.damage import DAMAGES
from tests.doubles import RecordingSink

HASH = hash_password("secret one")
KEYS = derive("secret one", iterations=4096)
names = st.from_regex(r"[a-z][a-z0-9.@-]{0,12}", fullmatch=True)


class GrammarTests(SynchronousTestCase):
    """`parse_users`, `with_user`, `without_user`."""

    def test_lines(self) -> None:
        """A line has a name, a hash and keys; either may be left out; the case of a name doesn't count."""
        text = f"# comment\n\nAlice@Example.com {HASH} {format_keys(KEYS)}\nbob {HASH}\ncarol - {format_keys(KEYS)}\n"
        users = parse_users(text)
        self.assertEqual(users.faults, ())
        self.assertEqual(
            users.by_name,
            {
                "alice@example.com": User("alice@example.com", HASH, KEYS),
                "bob": User("bob", HASH),
                "carol": User("carol", "", KEYS),
            },
        )

    def test_faults(self) -> None:
        """A line that can't be read is passed over and told, without what it holds of a secret."""
        text = f"alice\nbob plaintext\ncarol {HASH} keys\ndave {HASH} - more\n\x01 {HASH}\nerin {HASH}\nERIN {HASH}\n"
        users = parse_users(text)
        self.assertEqual(list(users.by_name), ["erin"])
        self.assertEqual([fault.split(":")[0] for fault in users.faults], [f"line {n}" for n in (1, 2, 3, 4, 5, 7)])
        self.assertIn("erin stands in line 6 already", users.faults[-1])
        self.assertNotIn("plaintext", " ".join(users.faults))
        self.assertNotIn("argon2id$v", " ".join(users.faults))

    @given(st.lists(st.tuples(names, st.booleans()), max_size=8))
    def test_changes(self, steps: list[tuple[str, bool]]) -> None:
        """Whatever is added and removed, the file says who is there, and comments and unreadable lines stay."""
        text, there = "# mine\nunreadable line here now\n", set()
        for name, add in steps:
            text = with_user(text, User(name, HASH)) if add else without_user(text, name)
            there = there | {name} if add else there - {name}
        users = parse_users(text)
        self.assertEqual(set(users.by_name), there)
        self.assertEqual(text.splitlines()[:2], ["# mine", "unreadable line here now"])

    def test_new_file(self) -> None:
        """A new file says what it is, and has a key for decoys."""
        text = with_user("", User("alice", HASH))
        self.assertIn("seg user", text.splitlines()[0])
        self.assertGreaterEqual(len(parse_users(text).decoy_key), 32)


class PasswordTests(SynchronousTestCase):
    """Names and passwords."""

    def test_prepared(self) -> None:
        """Two ways of typing the same are the same (RFC 8265); what can't be is refused without being quoted."""
        self.assertEqual(prepare_name("ALICE"), "alice")
        self.assertEqual(prepare_password("e\u0301"), "é")
        for text in ("", "a b", "a\0", "x" * 256):
            error = self.assertRaises(InvalidName, prepare_name, text)
            self.assertFalse(text and text in str(error))
        for text in ("", "a\0", "x" * 1025):
            self.assertRaises(InvalidName, prepare_password, text)

    def test_hash(self) -> None:
        """A hash is of one password; the decoy is of none; words that are no hash say what is wrong."""
        self.assertTrue(check_password(HASH, "secret one"))
        self.assertFalse(check_password(HASH, "secret two"))
        self.assertFalse(check_password(DECOY, ""))
        self.assertFalse(check_password("$argon2id$v=19$m=8,t=1,p=1$YQ$YQ", "x"))
        self.assertEqual(hash_fault(HASH), "")
        self.assertIn("no Argon2 hash", hash_fault("secret"))
        self.assertIn("another kind", hash_fault(HASH.replace("argon2id", "argon2i")))
        self.assertIn("costs too much", hash_fault(HASH.replace("m=19456", "m=99999999")))


class StoreTests(SynchronousTestCase):
    """`UserStore` on a real file."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-users-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.path = self.folder / "users"
        self.clock = Clock()
        self.sink = RecordingSink()
        self.store = UserStore(self.path, execute, self.sink, self.clock.seconds)

    def users(self) -> dict[str, User]:
        """Who there is, a second later."""
        self.clock.advance(1.1)
        return dict(self.successResultOf(Deferred.fromCoroutine(self.store.users())).by_name)

    def test_changes(self) -> None:
        """The file is read again when it has changed; none at all is told once, and lets nobody in."""
        self.assertEqual(self.users(), {})
        self.assertEqual(self.users(), {})
        self.assertEqual(len(self.sink.of(Fault)), 1)
        change(self.path, lambda text: with_user(text, User("alice", HASH)))
        self.assertEqual(list(self.users()), ["alice"])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        change(self.path, lambda text: without_user(text, "alice"))
        self.assertEqual(self.users(), {})

    def test_unreadable(self) -> None:
        """A file that can't be read lets nobody in, whatever it said before, and is told once."""
        change(self.path, lambda text: with_user(text, User("alice", HASH)))
        self.users()
        self.path.unlink()
        self.path.mkdir()
        for _ in range(2):
            self.clock.advance(1.1)
            self.failureResultOf(Deferred.fromCoroutine(self.store.users()), CheckUnavailable)
        self.assertEqual(len(self.sink.of(ConditionBegan)), 1)
        self.path.rmdir()
        change(self.path, lambda text: with_user(text, User("alice", HASH)))
        self.assertEqual(list(self.users()), ["alice"])
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_every_damage(self) -> None:
        """Whatever happens to the file: who was let in before isn't any more, nobody else is, it is told in few lines, and no thread waits."""
        for name, damage in DAMAGES.items():
            if name == "half":  # comments are left, as of a file without users
                continue
            if self.path.is_dir():
                shutil.rmtree(self.path)
            self.path.unlink(missing_ok=True)
            change(self.path, lambda text: with_user("", User("alice", HASH)))
            self.assertEqual(list(self.users()), ["alice"])
            self.sink.events.clear()
            damage(self.path)
            self.clock.advance(1.1)
            found: list[object] = []
            Deferred.fromCoroutine(self.store.users()).addBoth(found.append)
            self.assertTrue(isinstance(found[0], Failure) or not found[0].by_name, name)  # type: ignore[attr-defined]
            self.assertTrue(0 < len(self.sink.events) <= MOST_TOLD + 3, name)

    def test_too_open(self) -> None:
        """A file that others may read is told of."""
        change(self.path, lambda text: with_user(text, User("alice", HASH)))
        os.chmod(self.path, 0o644)
        self.users()
        self.assertIn("chmod 600", self.sink.of(Fault)[0].text)

    def test_failed_change(self) -> None:
        """An edit that fails leaves the file as it was, and nothing beside it."""
        change(self.path, lambda text: "a\n")

        def fail(text: str) -> str:
            raise RuntimeError(text)

        self.assertRaises(RuntimeError, change, self.path, fail)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["users"])
        self.assertEqual(self.path.read_text(), "a\n")
