"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): both sides prove to know the password, and none sends it.

The server's side as a machine without I/O. In order: `start` with the client's first message gives `SaltWanted`; `salted`
gives the challenge; `step` with the client's final message gives `ProofGiven`; `accepted` gives our own proof as a last
challenge (SMTP has no room for it in the 235, RFC 4954 §4), and `step` with the empty response to it `Success`. Nothing here
raises, whatever the client sends.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hmac
import re
import secrets
from collections.abc import Callable, Mapping

from seg.auth.mechanism_results import OUT_OF_TURN, Challenge, Failure, MechanismResult, ProofGiven, SaltWanted, Success
from seg.auth.names import InvalidName, prepare_name
from seg.auth.scram_keys import Proof, Salt
from seg.common.scram import KEY_SIZE, NAME

# RFC 5802 §7, client-first-message: gs2-header (flag, authzid), then client-first-message-bare (name, nonce, extensions).
_FIRST = re.compile(
    r"(?P<header>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.\-]+)),(?:a=(?P<authzid>[^,\0]+))?,)"
    r"(?P<bare>n=(?P<name>[^,\0]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,\0]*)*)"
)
# client-final-message: what precedes the proof, and the proof.
_FINAL = re.compile(
    r"(?P<bare>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,\0]*)*),p=(?P<proof>[A-Za-z0-9+/=]+)"
)
ADVICE = (
    "; if the client can't bind channels, take SCRAM-SHA-256-PLUS out of auth.mechanisms"  # nothing else would be tried
)
_ESCAPE = re.compile(r"=(2C|3D)?")


class _State(enum.Enum):
    """What is waited for."""

    FIRST = "the client's first message"
    SALT = "the salt"
    FINAL = "the client's final message"
    VERDICT = "whether the proof is right"
    LAST = "the empty response to our own proof"
    OVER = "nothing"


class ScramServer:
    """One exchange.

    :param bindings: what ties an exchange to its TLS session: the channel bindings that there are, by type.
    :param plus: the client chose the mechanism with channel binding.
    :param new_nonce: ASCII without commas, never the same twice.
    """

    def __init__(
        self,
        bindings: Mapping[str, bytes],
        *,
        plus: bool = False,
        new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self.name = f"{NAME}-PLUS" if plus else NAME
        self._bindings = bindings
        self._plus = plus
        self._new_nonce = new_nonce
        self._state = _State.FIRST
        self._user = ""
        self._binding_input = b""  # what the final message has to repeat
        self._first = ""
        self._nonce = ""
        self._challenge = ""
        self._proof: Proof | None = None
        self._identity = ""

    def start(self, initial: bytes | None) -> MechanismResult:
        """Begin; the client speaks first."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> MechanismResult:
        """The client's next message."""
        state, self._state = self._state, _State.OVER
        match state:
            case _State.FIRST:
                return self._take_first(response)
            case _State.FINAL:
                return self._take_final(response)
            case _State.LAST if not response:
                return Success(self._identity)
        return Failure(OUT_OF_TURN.reason, self._user)

    def salted(self, salt: Salt) -> MechanismResult:
        """The salt, true or decoy, of the user of `SaltWanted`."""
        if self._state is not _State.SALT:
            return OUT_OF_TURN
        self._state = _State.FINAL
        encoded = base64.b64encode(salt.salt).decode("ascii")
        self._challenge = f"r={self._nonce},s={encoded},i={salt.iterations}"
        return Challenge(self._challenge.encode("ascii"))

    def accepted(self, identity: str) -> MechanismResult:
        """The proof is right."""
        if self._state is not _State.VERDICT or self._proof is None or not self._proof.server_signature:
            return OUT_OF_TURN
        self._state = _State.LAST
        self._identity = identity
        return Challenge(b"v=" + base64.b64encode(self._proof.server_signature))

    def _take_first(self, message: bytes) -> MechanismResult:
        match = _FIRST.fullmatch(_text(message))
        if match is None:
            return Failure("malformed first message")
        try:
            self._user = prepare_name(_unescaped(match["name"]))
            other = match["authzid"] and prepare_name(_unescaped(match["authzid"]))
        except InvalidName as error:
            return Failure(str(error), self._user)
        objection = self._binding_objection(match["flag"], match["binding"])
        if objection:
            return Failure(objection, self._user)
        if other and other != self._user:
            return Failure("wants to act for another user", self._user)
        self._binding_input = match["header"].encode() + self._bindings.get(match["binding"] or "", b"")
        self._first = match["bare"]
        self._nonce = match["nonce"] + self._new_nonce()
        self._state = _State.SALT
        return SaltWanted(self._user)

    def _binding_objection(self, flag: str, binding: str | None) -> str:
        """What is wrong with the client's word on channel binding (RFC 5802 §6); "" when nothing is."""
        if self._plus:
            if binding is None:
                return "channel binding left out"
            return "" if binding in self._bindings else f"no channel binding of the type {binding[:64]}{ADVICE}"
        if binding is not None:
            return "channel binding without -PLUS"
        if flag == "y" and self._bindings:
            return "somebody in between hid that channel binding is offered"
        return ""

    def _take_final(self, message: bytes) -> MechanismResult:
        match = _FINAL.fullmatch(_text(message))
        if match is None:
            return Failure("malformed final message", self._user)
        try:
            binding = base64.b64decode(match["binding"], validate=True)
            proof = base64.b64decode(match["proof"], validate=True)
        except binascii.Error:
            return Failure("malformed base64 in the final message", self._user)
        if not hmac.compare_digest(match["nonce"].encode(), self._nonce.encode()):
            return Failure("another nonce", self._user)
        if not hmac.compare_digest(binding, self._binding_input):
            advice = ADVICE if self._plus else ""
            return Failure(f"another TLS session, or another header, was bound{advice}", self._user)
        if len(proof) != KEY_SIZE:
            return Failure("a proof of a wrong length", self._user)
        self._proof = Proof(f"{self._first},{self._challenge},{match['bare']}".encode(), proof)
        self._state = _State.VERDICT
        return ProofGiven(self._user, self._proof)


def _text(message: bytes) -> str:
    """The message as text, "" (which fits no grammar) when it isn't UTF-8."""
    try:
        return message.decode()
    except UnicodeDecodeError:
        return ""


def _unescaped(name: str) -> str:
    """A saslname (RFC 5802 §5.1): =2C is a comma, =3D an equals sign, and none stands alone.

    :raises Unfit: one does.
    """

    def character(match: re.Match[str]) -> str:
        if match[1] is None:
            raise InvalidName("the user name has a malformed escape")
        return "," if match[1] == "2C" else "="

    return _ESCAPE.sub(character, name)
