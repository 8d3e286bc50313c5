"""AUTH and LMTP as the client's core speaks them."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.smtp.client import ClientConnection
from seg.smtp.client_auth import (
    ChallengeError,
    LoginClient,
    PlainClient,
    ScramClient,
    TooManyIterations,
    choose_mechanism,
    response,
)
from seg.smtp.client_events import Authenticated, AuthRefused, ContentWanted, Ended, ResponseWanted, TransactionDone
from seg.smtp.reply import Reply

# RFC 7677 §3
SCRAM_CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SCRAM_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SCRAM_SERVER = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram() -> ScramClient:
    """The client of the RFC's example."""
    return ScramClient("user", "pencil", lambda: "rOprNGfwEbeRWgbNEkqO")


class MechanismTests(SynchronousTestCase):
    """The machines alone."""

    def test_scram(self) -> None:
        """The example of RFC 7677; a server that doesn't know the password isn't trusted."""
        machine = scram()
        self.assertEqual(machine.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        self.assertEqual(machine.answer(SCRAM_CHALLENGE), SCRAM_FINAL)
        self.assertFalse(machine.trusted)
        self.assertEqual(machine.answer(SCRAM_SERVER), b"")
        self.assertTrue(machine.trusted)
        machine = scram()
        machine.answer(SCRAM_CHALLENGE)
        self.assertRaises(ChallengeError, machine.answer, b"v=AAAA")
        self.assertEqual(ScramClient("a,b=c", "x", lambda: "n").first(), b"n,,n=a=2Cb=3Dc,r=n")

    @given(st.binary(max_size=80))
    def test_scram_of_anything(self, challenge: bytes) -> None:
        """A challenge that makes no sense is given up, whatever it is."""
        for text in (challenge, SCRAM_CHALLENGE.replace(b"i=4096", b"i=" + challenge), b"r=x,s=YQ==,i=" + challenge):
            if text == SCRAM_CHALLENGE:
                continue
            try:
                answer = scram().answer(text)
            except ChallengeError:
                continue
            self.assertTrue(answer.startswith(b"c=biws,r=rOprNGfwEbeRWgbNEkqO"))

    def test_others(self) -> None:
        """PLAIN sends everything at once; LOGIN sends name and password, and nothing to a third question."""
        self.assertEqual(PlainClient("u", "p").first(), b"\0u\0p")
        self.assertEqual(PlainClient("u", "p").answer(b""), b"\0u\0p")
        self.assertRaises(ChallengeError, PlainClient("u", "p").answer, b"x")
        login = LoginClient("u", "p")
        self.assertEqual((login.first(), login.answer(b"Username:"), login.answer(b"Password:")), (None, b"u", b"p"))
        self.assertRaises(ChallengeError, login.answer, b"?")

    def test_choice(self) -> None:
        """The best that both can do; none when there is none."""
        for offered, allowed, name in (
            ("plain login scram-sha-256", (), "SCRAM-SHA-256"),
            ("LOGIN PLAIN", (), "PLAIN"),
            ("LOGIN", (), "LOGIN"),
            ("PLAIN SCRAM-SHA-256", ("PLAIN",), "PLAIN"),
            ("CRAM-MD5", (), None),
            ("PLAIN", ("SCRAM-SHA-256",), None),
            ("", (), None),
        ):
            found = choose_mechanism(offered, allowed, "u", "p")
            self.assertEqual(found.name if found else None, name)
            self.assertNotIn("'p'", repr(found))


class SessionTests(SynchronousTestCase):
    """`ClientConnection`."""

    def greeted(self, lmtp: bool = False, offers: bytes = b"250-x\r\n250 PIPELINING\r\n") -> ClientConnection:
        """A session that is ready."""
        core = ClientConnection("us.test", lmtp)
        core.hello()
        core.receive(b"220 hello\r\n")
        core.data_to_send()
        core.receive(offers)
        return core

    def test_auth(self) -> None:
        """AUTH with its challenges, to the end; then transactions may begin."""
        core = self.greeted()
        core.auth(scram())
        first = base64.b64encode(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        self.assertEqual(core.data_to_send(), b"AUTH SCRAM-SHA-256 " + first + b"\r\n")
        self.challenge(core, base64.b64encode(SCRAM_CHALLENGE))
        self.assertEqual(core.data_to_send(), base64.b64encode(SCRAM_FINAL) + b"\r\n")
        self.challenge(core, base64.b64encode(SCRAM_SERVER))
        self.assertEqual(core.data_to_send(), b"\r\n")
        self.assertEqual(core.receive(b"235 2.7.0 ok\r\n"), [Authenticated()])
        self.assertTrue(core.ready)

    def test_auth_refused(self) -> None:
        """A refusal is temporary whatever its code, and a challenge that makes no sense is given up."""
        core = self.greeted()
        core.auth(LoginClient("u", "p"))
        self.assertEqual(core.data_to_send(), b"AUTH LOGIN\r\n")
        (refused,) = core.receive(b"535 5.7.8 no\r\n")
        assert isinstance(refused, AuthRefused)
        self.assertEqual((refused.error.enhanced, refused.error.code), ("4.7.8", 0))
        core = self.greeted()
        core.auth(scram())
        core.data_to_send()
        self.challenge(core, b"not base64!")
        self.assertEqual(core.data_to_send(), b"*\r\n")
        (refused,) = core.receive(b"501 5.0.0 cancelled\r\n")
        assert isinstance(refused, AuthRefused)
        self.assertIn("isn't base64", refused.error.text)

    def test_computed_elsewhere(self) -> None:
        """While an answer is computed nothing else may begin, and a server that goes on talking is left."""
        core = self.greeted()
        core.auth(scram())
        core.data_to_send()
        (wanted,) = core.receive(b"334 " + base64.b64encode(SCRAM_CHALLENGE) + b"\r\n")
        assert isinstance(wanted, ResponseWanted)
        self.assertEqual((core.data_to_send(), core.ready, core.awaiting), (b"", False, None))
        self.assertRaises(RuntimeError, core.reset)
        (ended,) = core.receive(b"334 more\r\n")
        self.assertIsInstance(ended, Ended)
        core.respond(wanted.compute())
        self.assertEqual(core.data_to_send(), b"")

    def test_iterations(self) -> None:
        """A server chooses the number of iterations up to a bound; above it AUTH is given up with a reason, and nothing is computed."""
        challenge = SCRAM_CHALLENGE.replace(b"4096", b"200001")
        self.assertRaises(TooManyIterations, scram().answer, challenge)
        core = self.greeted()
        core.auth(scram())
        core.data_to_send()
        self.challenge(core, base64.b64encode(challenge))
        self.assertEqual(core.data_to_send(), b"*\r\n")
        (refused,) = core.receive(b"501 cancelled\r\n")
        assert isinstance(refused, AuthRefused)
        self.assertIn("200001 iterations of SCRAM are wanted, at most 200000 are done", refused.error.text)

    def test_sizes_that_a_server_chooses(self) -> None:
        """Whatever else a server of SCRAM may make large is refused before it is computed with, in a moment."""
        nonce = b"r=rOprNGfwEbeRWgbNEkqO"
        for challenge in (
            nonce + b"x" * 600 + b",s=YQ==,i=4096",
            nonce + b"x,s=" + base64.b64encode(b"s" * 600) + b",i=4096",
            nonce + b"x,s=YQ==,i=" + b"9" * 1900,
            nonce + b"x,s=YQ==,i=0",
            nonce + b"x,s=YQ==,i=-1",
            nonce + b"x,s=YQ==,i=1_000",
            nonce + b"x,s=YQ==,i=4096,m=must-know",
            nonce + b",s=YQ==,i=4096",
            b"," * 4000,
        ):
            with self.subTest(challenge[:60]):
                self.assertRaises(ChallengeError, scram().answer, challenge)
        self.assertIsInstance(response(scram(), "A" * 5000), ChallengeError)

    def test_challenges_without_end(self) -> None:
        """A server that goes on asking is left, whatever the mechanism, and whether or not AUTH was given up."""
        for machine in (PlainClient("u", "p"), LoginClient("u", "p"), scram()):
            for challenge in (b"", b"x", base64.b64encode(SCRAM_CHALLENGE)):
                core = self.greeted()
                core.auth(machine)
                asked = 0
                while core.ended is None:
                    self.challenge(core, challenge)
                    asked += 1
                    self.assertLess(asked, 10)
                self.assertIn("without end", core.ended.text)

    def challenge(self, core: ClientConnection, challenge: bytes) -> None:
        """A challenge comes; what is to be computed is computed."""
        for event in core.receive(b"334 " + challenge + b"\r\n"):
            if isinstance(event, ResponseWanted):
                core.respond(event.compute())

    def test_server_without_proof(self) -> None:
        """A 235 from a server that didn't show that it knows the password ends the session."""
        core = self.greeted()
        core.auth(scram())
        core.data_to_send()
        (ended,) = core.receive(b"235 2.7.0 welcome\r\n")
        assert isinstance(ended, Ended)
        self.assertIn("without its own proof", ended.error.text)

    def test_lmtp(self) -> None:
        """LHLO; behind the content a reply for each recipient that was accepted, in their order (RFC 2033 §4.2)."""
        core = ClientConnection("us.test", True)
        core.hello()
        core.receive(b"220 hello\r\n")
        self.assertEqual(core.data_to_send(), b"LHLO us.test\r\n")
        core.receive(b"250-x\r\n250 PIPELINING\r\n")
        recipients = tuple(Recipient(rid, f"r{rid}@d.test") for rid in range(4))
        core.begin(Envelope(1, "a@b.test", recipients, 0.0), recipients, 10)
        events = core.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        self.assertEqual(events, [ContentWanted()])
        core.content_sent()
        self.assertEqual(core.receive(b"250 2.0.0 one\r\n452 4.2.2 full\r\n"), [])
        (done,) = core.receive(b"552 5.2.2 never\r\n")
        assert isinstance(done, TransactionDone)
        kinds = {rid: type(result) for rid, result in done.results.items()}
        self.assertEqual(kinds, {0: Reply, 1: Permanent, 2: Temporary, 3: Permanent})
        self.assertTrue(core.ready)

    def test_lmtp_broken_off(self) -> None:
        """Who had no reply when the connection broke is in doubt; who had one keeps it."""
        core = self.greeted(lmtp=True)
        recipients = (Recipient(0, "a@d.test"), Recipient(1, "b@d.test"))
        core.begin(Envelope(1, "a@b.test", recipients, 0.0), recipients, 10)
        core.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        core.content_sent()
        core.receive(b"250 2.0.0 one\r\n")
        done = core.fail(Temporary("4.4.2", "gone"))[0]
        assert isinstance(done, TransactionDone)
        self.assertEqual([type(done.results[rid]) for rid in (0, 1)], [Reply, Temporary])

    def test_lmtp_nobody_accepted(self) -> None:
        """A server that says 354 although it accepted nobody gets an empty message, and owes no reply for it."""
        core = self.greeted(lmtp=True)
        recipients = (Recipient(0, "a@d.test"),)
        core.begin(Envelope(1, "a@b.test", recipients, 0.0), recipients, 10)
        core.data_to_send()
        (done,) = core.receive(b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n")
        assert isinstance(done, TransactionDone)
        self.assertEqual(core.data_to_send(), b".\r\n")
        self.assertTrue(core.ready)

    def test_lmtp_knows_no_helo(self) -> None:
        """A server that refuses LHLO speaks no LMTP: there is nothing to fall back to."""
        core = ClientConnection("us.test", True)
        core.hello()
        core.receive(b"220 hello\r\n")
        core.data_to_send()
        self.assertIsInstance(core.receive(b"500 5.5.1 what\r\n")[0], Ended)
