"""SCRAM-SHA-256 by the example of RFC 7677, and by whatever else may come."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.auth.mechanism_results import Challenge, Failure, ProofGiven, SaltWanted, Success
from seg.auth.scram import ADVICE, ScramServer
from seg.auth.scram_keys import LEAST_ITERATIONS, Salt, decoy_salt, derive, format_keys, parse_keys

# RFC 7677 §3
SALT = Salt(base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
BINDING = {"tls-exporter": b"x" * 32}


def machine(plus: bool = False, bindings: dict[str, bytes] | None = None) -> ScramServer:
    """The server's side with the nonce of the RFC."""
    return ScramServer(bindings or {}, plus=plus, new_nonce=lambda: SERVER_NONCE)


class ScramTests(SynchronousTestCase):
    """One exchange."""

    def test_rfc(self) -> None:
        """The example of RFC 7677, octet by octet."""
        scram = machine()
        self.assertEqual(scram.start(FIRST), SaltWanted("user"))
        self.assertEqual(scram.salted(SALT), Challenge(CHALLENGE))
        given = scram.step(FINAL)
        assert isinstance(given, ProofGiven)
        self.assertTrue(given.proof.check(derive("pencil", SALT.salt, SALT.iterations)))
        self.assertEqual(scram.accepted("user"), Challenge(SERVER_FINAL))
        self.assertEqual(scram.step(b""), Success("user"))
        self.assertIsInstance(scram.step(b""), Failure)

    def test_another_password(self) -> None:
        """The proof of another password isn't right, and nothing is said in answer to it."""
        scram = machine()
        scram.start(None)
        scram.step(FIRST)
        scram.salted(SALT)
        given = scram.step(FINAL)
        assert isinstance(given, ProofGiven)
        self.assertFalse(given.proof.check(derive("pen", SALT.salt, SALT.iterations)))
        self.assertIsInstance(scram.accepted("user"), Failure)

    def test_first_messages(self) -> None:
        """What a first message must not be, and why; whoever offers -PLUS notices when it was hidden from the client."""
        table = (
            (False, {}, b"", "malformed first message"),
            (False, {}, b"n,,n=user", "malformed first message"),
            (False, {}, b"n,,n=,r=abc", "malformed first message"),
            (False, {}, b"n,,m=x,n=user,r=abc", "malformed first message"),
            (False, {}, b"n,,n=us=2er,r=abc", "the user name has a malformed escape"),
            (False, {}, b"n,a=other,n=user,r=abc", "wants to act for another user"),
            (False, {}, b"n,,n=\xff,r=abc", "malformed first message"),
            (False, BINDING, b"y,,n=user,r=abc", "somebody in between hid that channel binding is offered"),
            (False, BINDING, b"p=tls-exporter,,n=user,r=abc", "channel binding without -PLUS"),
            (True, BINDING, b"n,,n=user,r=abc", "channel binding left out"),
            (True, BINDING, b"p=tls-unique,,n=user,r=abc", f"no channel binding of the type tls-unique{ADVICE}"),
        )
        for plus, bindings, message, reason in table:
            found = machine(plus, bindings).start(message)
            assert isinstance(found, Failure)
            self.assertEqual(found.reason, reason)
        self.assertEqual(machine().start(b"y,,n=user,r=abc"), SaltWanted("user"))
        self.assertEqual(
            machine().start(b"n,a=User,n=user=2Ca,r=abc"), Failure("wants to act for another user", "user,a")
        )
        self.assertEqual(machine().start(b"n,a=USER,n=user,r=abc"), SaltWanted("user"))

    def test_final_messages(self) -> None:
        """What a final message must not be."""
        table = (
            (b"", "malformed final message"),
            (FINAL.replace(b"p=", b"q="), "malformed final message"),
            (FINAL.replace(b"r=rO", b"r=xO"), "another nonce"),
            (FINAL.replace(b"c=biws", b"c=eSws"), "another TLS session, or another header, was bound"),
            (FINAL.replace(b"c=biws", b"c=b"), "malformed base64 in the final message"),
            (FINAL[:-4], "a proof of a wrong length"),
        )
        for message, reason in table:
            scram = machine()
            scram.start(FIRST)
            scram.salted(SALT)
            found = scram.step(message)
            assert isinstance(found, Failure)
            self.assertEqual(found.reason, reason, message)

    def test_channel_binding(self) -> None:
        """With -PLUS the proof is good for the TLS session that it was made in, and for no other."""
        keys = derive("pencil", SALT.salt, SALT.iterations)
        for data, fits in ((BINDING["tls-exporter"], True), (b"y" * 32, False)):
            scram = machine(True, BINDING)
            self.assertEqual(scram.start(b"p=tls-exporter,,n=user,r=abc"), SaltWanted("user"))
            challenge = scram.salted(SALT)
            assert isinstance(challenge, Challenge)
            bound = base64.b64encode(b"p=tls-exporter,," + data)
            bare = b"c=" + bound + b",r=abc" + SERVER_NONCE.encode()
            message = b"n=user,r=abc," + challenge.data + b"," + bare
            salted = hashlib.pbkdf2_hmac("sha256", b"pencil", SALT.salt, SALT.iterations)
            key = hmac.digest(salted, b"Client Key", "sha256")
            signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
            proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))
            found = scram.step(bare + b",p=" + proof)
            if fits:
                assert isinstance(found, ProofGiven)
                self.assertTrue(found.proof.check(keys))
            else:
                self.assertIsInstance(found, Failure)

    @given(st.lists(st.binary(max_size=60), max_size=4))
    def test_anything(self, messages: list[bytes]) -> None:
        """Nothing that comes raises, and nothing but a proof gets further than a challenge."""
        scram = machine()
        step = scram.start(messages[0] if messages else None)
        for message in messages[1:]:
            if isinstance(step, SaltWanted):
                step = scram.salted(SALT)
            step = scram.step(message)
            self.assertNotIsInstance(step, Success)


class KeysTests(SynchronousTestCase):
    """What is kept of a password."""

    def test_there_and_back(self) -> None:
        """Keys are written and read."""
        keys = derive("pencil", iterations=LEAST_ITERATIONS)
        self.assertEqual(parse_keys(format_keys(keys)), keys)
        self.assertNotIn("stored", repr(keys))

    def test_refused(self) -> None:
        """Words that are no keys, or keys that are too weak."""
        good = format_keys(derive("pencil", iterations=LEAST_ITERATIONS))
        for text in (
            "",
            "x",
            good.replace("$4096:", "$4095:"),
            good.replace("$4096:", "$99999999:"),
            good[:-8],
            good + "=",
        ):
            self.assertRaises(ValueError, parse_keys, text)

    def test_decoy(self) -> None:
        """Who doesn't exist has always the same salt, another than anybody else."""
        self.assertEqual(decoy_salt(b"k", "a"), decoy_salt(b"k", "a"))
        self.assertNotEqual(decoy_salt(b"k", "a").salt, decoy_salt(b"k", "b").salt)
