"""Who is let in, who has to wait, and what a third party's checker may do."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
import warnings
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from seg import plugin
from seg.auth.backoff import FREE, MOST, WINDOW, AttemptState, Backoff
from seg.auth.checker import ScramCredentials, SubmissionRealm, Submitter, UsersChecker
from seg.auth.interfaces import CheckerContext, CheckUnavailable, ISaltSource, IScramCredentials, ISubmitter
from seg.auth.mechanism_results import Challenge, Failure, Success
from seg.auth.passwords import hash_password
from seg.auth.plugins import checker_named
from seg.auth.sasl_server import CHECK_TIMEOUT, SASLServer
from seg.auth.scram_keys import Proof, derive
from seg.auth.users import User, Users
from seg.common.errors import ConfigurationError
from seg.mail.client import client_key
from tests.doubles import RecordingSink

PAGE = Path(__file__).parents[2] / "docs" / "submission.md"
NUMBERS = itertools.count()
EXAMPLE = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from seg.plugin import ICheckerFactory

@implementer(IPlugin, ICheckerFactory)
class Bad:
    name = "bad"
    def create(self, context):
        BODY

bad = Bad()
"""
ADDRESS = ip_address("192.0.2.1")
HASH, KEYS = hash_password("correct horse"), derive("correct horse", iterations=4096)


class StoreDouble:
    """Users in memory."""

    async def users(self) -> Users:
        return Users({"alice": User("alice", HASH, KEYS), "bob": User("bob", HASH)}, decoy_key=b"k" * 32)


@implementer(ICredentialsChecker)
class Foreign:
    """A checker of somebody else."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.answer: Deferred[Any] = succeed(b"alice")

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        return self.answer


class DeskTests(SynchronousTestCase):
    """Exchanges with the users of `StoreDouble`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.backoff = Backoff(self.clock.seconds)
        self.checker = UsersChecker(StoreDouble(), execute, 2)  # type: ignore[arg-type]
        self.desk = SASLServer(self.checker, self.backoff, self.clock)

    def plain(self, user: str, password: str) -> Deferred[Any]:
        """The answer to PLAIN."""
        return self.desk.exchange("PLAIN", {}, ADDRESS).start(f"\0{user}\0{password}".encode())

    def test_interfaces(self) -> None:
        """The parts are what they say."""
        verifyObject(ICredentialsChecker, self.checker)
        verifyObject(ISaltSource, self.checker)
        verifyObject(IScramCredentials, ScramCredentials(b"a", Proof(b"", b"")))
        verifyObject(ISubmitter, Submitter("a"))

    def test_right_and_wrong(self) -> None:
        """The right password lets in; a wrong one, and a user who doesn't exist, get the same answer."""
        self.assertEqual(self.successResultOf(self.plain("Alice", "correct horse")), Success("alice"))
        for user in ("alice", "nobody"):
            out = self.successResultOf(self.plain(user, "wrong horse"))
            self.assertEqual(out, Failure("no such user, or another password", user))

    def test_login(self) -> None:
        """LOGIN asks for name and password."""
        exchange = self.desk.exchange("LOGIN", {}, ADDRESS)
        self.assertEqual(self.successResultOf(exchange.start(None)), Challenge(b"Username:"))
        self.assertEqual(self.successResultOf(exchange.step(b"alice")), Challenge(b"Password:"))
        self.assertEqual(self.successResultOf(exchange.step(b"correct horse")), Success("alice"))
        self.assertIsInstance(self.successResultOf(exchange.step(b"more")), Failure)

    def test_malformed(self) -> None:
        """What is no message of the mechanism is out."""
        for message in (b"", b"alice", b"\0alice\0", b"x\0alice\0correct horse", b"\0\xff\0x", b"\0a\0b\0c"):
            self.assertIsInstance(
                self.successResultOf(self.desk.exchange("PLAIN", {}, ADDRESS).start(message)), Failure
            )

    def test_mechanisms(self) -> None:
        """SCRAM is offered where keys are known, and nothing that the operator left out."""
        self.assertEqual(self.desk.mechanisms({}), ("PLAIN", "LOGIN", "SCRAM-SHA-256"))
        few = SASLServer(self.checker, self.backoff, self.clock, ("SCRAM-SHA-256",))
        self.assertEqual(few.mechanisms({"tls-exporter": b"x"}), ("SCRAM-SHA-256",))
        self.assertEqual(
            SASLServer(Foreign(), self.backoff, self.clock).mechanisms({"tls-exporter": b"x"}), ("PLAIN", "LOGIN")
        )

    def test_channel_binding(self) -> None:
        """-PLUS is offered where the operator names it and the session can be bound: some clients choose it, fail, and try nothing else.
        Where it isn't offered a client that could bind isn't taken for one that was deceived."""
        bound = {"tls-exporter": b"x"}
        self.assertEqual(self.desk.mechanisms(bound), ("PLAIN", "LOGIN", "SCRAM-SHA-256"))
        named = SASLServer(self.checker, self.backoff, self.clock, ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"))
        self.assertEqual(named.mechanisms(bound), ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"))
        self.assertEqual(named.mechanisms({}), ("SCRAM-SHA-256",))
        could = b"y,,n=user,r=abc"
        self.assertIsInstance(
            self.successResultOf(self.desk.exchange("SCRAM-SHA-256", bound, ADDRESS).start(could)), Challenge
        )
        self.assertIsInstance(
            self.successResultOf(named.exchange("SCRAM-SHA-256", bound, ADDRESS).start(could)), Failure
        )

    def test_decoys(self) -> None:
        """Who has no keys, or isn't there, gets a challenge as everybody, always the same salt, and is out at the end."""
        for user in ("bob", "nobody"):
            challenges = []
            for _ in range(2):
                exchange = self.desk.exchange("SCRAM-SHA-256", {}, ADDRESS)
                ask = self.successResultOf(exchange.start(f"n,,n={user},r=abc".encode()))
                challenges.append(ask.data.split(b",")[1])
                nonce = ask.data.split(b",")[0]
                final = b"c=biws," + nonce + b",p=" + b"A" * 43 + b"="
                answer = exchange.step(final)
                self.clock.advance(30)  # failures are answered later each time
                out = self.successResultOf(answer)
                self.assertEqual(out, Failure("no such user, or another password", user))
            self.assertEqual(challenges[0], challenges[1])

    def test_delays(self) -> None:
        """Failures delay the next answer, longer each time, and in the end the address is turned away for a while."""
        for _ in range(FREE):
            self.successResultOf(self.plain("alice", "wrong"))
        waiting = self.plain("alice", "correct horse")
        self.assertNoResult(waiting)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(waiting), Success("alice"))
        for _ in range(MOST):
            found = self.plain("nobody", "wrong")
            self.clock.pump([30.0])
            self.successResultOf(found)
        self.assertTrue(self.desk.locked(ADDRESS))
        found = self.plain("alice", "correct horse")
        self.clock.advance(30)
        self.assertEqual(self.successResultOf(found), Failure("too many failures from this address", "alice", True))
        self.clock.advance(WINDOW)
        self.assertFalse(self.desk.locked(ADDRESS))

    def test_many_at_once(self) -> None:
        """However many guesses are sent side by side, no more are checked than may fail."""
        for _ in range(MOST):
            self.assertIs(self.backoff.enter(ADDRESS), AttemptState.FREE)
        self.assertIs(self.backoff.enter(ADDRESS), AttemptState.BUSY)
        found = self.plain("alice", "correct horse")
        self.clock.advance(1)
        self.assertNoResult(found)
        self.backoff.leave(ADDRESS)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(found), Success("alice"))
        self.backoff.enter(ADDRESS)
        stuck = self.plain("alice", "correct horse")
        self.clock.pump([1.0] * 40)
        self.assertTrue(self.successResultOf(stuck).later)

    def test_backoff_is_bounded(self) -> None:
        """Neither many addresses nor many names make it grow; an IPv6 client is its /64."""
        backoff = Backoff(self.clock.seconds, max_entries=10)
        for number in range(100):
            backoff.failed(ip_address(number + 1), f"user{number}")
        self.assertLessEqual(len(backoff._by_address._entries), 10)
        self.assertEqual(client_key(ip_address("2001:db8::1")), client_key(ip_address("2001:db8::2")))

    def test_foreign_checker(self) -> None:
        """A checker may take its time, fail and be away; none of that breaks the session."""
        checker = Foreign()
        self.desk = SASLServer(checker, self.backoff, self.clock)
        checker.answer = Deferred()
        found = self.plain("alice", "x")
        self.assertNoResult(found)
        checker.answer.callback(b"alice")
        self.assertEqual(self.successResultOf(found), Success("alice"))
        checker.answer = fail(CheckUnavailable("the directory is away"))
        self.assertEqual(
            self.successResultOf(self.plain("alice", "x")), Failure("the directory is away", "alice", True)
        )
        checker.answer = fail(ZeroDivisionError())
        self.assertTrue(self.successResultOf(self.plain("alice", "x")).later)

    def test_silent_checker(self) -> None:
        """A checker that gives no answer keeps nobody waiting for ever, nor holds the client's turn."""
        silent = Foreign()
        desk = SASLServer(silent, self.backoff, self.clock)
        for _ in range(MOST + 1):
            silent.answer = Deferred()
            waiting = desk.exchange("PLAIN", {}, ADDRESS).start(b"\0alice\0x")
            self.clock.advance(CHECK_TIMEOUT - 1)
            self.assertNoResult(waiting)
            self.clock.advance(1)
            out = self.successResultOf(waiting)
            self.assertEqual(out, Failure("the checker gave no answer in 60 seconds", "alice", later=True))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_realm(self) -> None:
        """There are only submitters, with a name."""
        self.assertRaises(NotImplementedError, SubmissionRealm().requestAvatar, b"a", None)
        self.assertRaises(NotImplementedError, SubmissionRealm().requestAvatar, b"", None, ISubmitter)

    def test_too_many_hashes(self) -> None:
        """Passwords that wait to be hashed are bounded."""
        pending: list[Deferred[Any]] = []

        def slow(work: Any) -> Deferred[Any]:
            pending.append(Deferred())
            return pending[-1]

        desk = SASLServer(UsersChecker(StoreDouble(), slow, 1), Backoff(lambda: 0.0), self.clock)  # type: ignore[arg-type]
        answers = [
            desk.exchange("PLAIN", {}, ip_address(number + 1)).start(b"\0alice\0correct horse") for number in range(300)
        ]
        done = [answer for answer in answers if answer.called]
        self.assertEqual(len(pending), 1)
        self.assertTrue(done)
        self.assertTrue(all(self.successResultOf(answer).later for answer in done))


class PluginTests(SynchronousTestCase):
    """Checkers by name, from a package of the test's own."""

    def package(self, source: str) -> ModuleType:
        """A package with one module."""
        folder = Path(self.mktemp()).absolute()
        name = f"checkers_{next(NUMBERS)}"
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
        (folder / name / "module.py").write_text(source)
        self.patch(sys, "path", [str(folder), *sys.path])
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def find(self, name: str, source: str) -> ICredentialsChecker:
        """The checker of a name."""
        return checker_named(name, CheckerContext(RecordingSink(), None, execute), self.package(source))

    def test_documented_one(self) -> None:
        """The checker of the documentation works as it stands there."""
        if not PAGE.exists():
            self.skipTest("the documents aren't here")
        (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        desk = SASLServer(self.find("directory", source), Backoff(lambda: 0.0), Clock())
        for password, inside in (("correct horse", True), ("wrong", False)):
            answer = self.successResultOf(desk.exchange("PLAIN", {}, ADDRESS).start(f"\0alice\0{password}".encode()))
            self.assertIs(isinstance(answer, Success), inside)

    def test_former_name(self) -> None:
        """Checkers that import from `seg.auth.seams` find the same interfaces there, with a warning."""
        sys.modules.pop("seg.auth.seams", None)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            former = importlib.import_module("seg.auth.seams")
        self.assertIn("seg.plugin", str(warned[0].message))
        for name in ("ICheckerFactory", "CheckerContext", "CheckUnavailable", "IScramCredentials", "ISaltSource"):
            self.assertIs(getattr(former, name), getattr(plugin, name))

    def test_refused(self) -> None:
        """A name that no plugin has, a factory that fails and one that makes no checker are faults of the configuration."""
        table = (
            ("ldap", "return 1", '[auth] checker: there is no checker "ldap"; there are bad'),
            ("bad", "raise ValueError('no server')", '"bad" can\'t be made: no server'),
            ("bad", "return 1", '"bad" makes no ICredentialsChecker'),
        )
        for name, body, problem in table:
            error = self.assertRaises(ConfigurationError, self.find, name, EXAMPLE.replace("BODY", body))
            self.assertIn(problem, error.problems[0])
