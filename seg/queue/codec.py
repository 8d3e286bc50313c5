"""The envelope as the spool's files and the queue's memory have it; pure.

A message is one file: its first line is the envelope as JSON, the rest is the content as received. Once the
envelope has changed, its present state is a second file of one line beside the message (``<id>.env``), and
that one counts. In memory the envelope of a message that waits is packed to a few octets.

The fields of `Envelope` and `Recipient` are the table of both (`seg.common.field_codec`): a new one needs a default and nothing else. Of
the version's first fields none may be left out, as the version before demands them; what came later stands there only where it isn't as
usual, and a version that doesn't know it passes over it.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping
from typing import Any

import attrs

from seg.common.field_codec import FieldCodec, FieldError, FieldForm, listed
from seg.mail.causes import CauseKind, cause_named
from seg.mail.envelope import MOST_REFUSALS, Envelope, HostRefusal, PolicyHold, Recipient, RecipientState
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced, Delivered

VERSION = 1  # of the envelope line
# Former versions told such a report by its ENVID, which clients may choose, too; the key always stands beside it since.
OLD_DOUBLE_BOUNCE = "double-bounce"
MAX_LINE = 16 * 1024 * 1024  # octets; a longer first line is damage, not an envelope


class SpoolFileError(Exception):
    """A spool file isn't what it should be; its text is the reason. Move the file to ``corrupt/`` and go
    on."""


@attrs.frozen
class StoredEnvelope:
    """What an envelope line says."""

    envelope: Envelope
    failures: Mapping[int, Bounced] = attrs.field(factory=dict)  # of the recipients in state BOUNCING, by RID
    relayed: Mapping[int, Delivered] = attrs.field(
        factory=dict
    )  # of those of whose success the sender is to be told, by RID


# --- the table -------------------------------------------------------------------------------------


def _hold_object(hold: PolicyHold) -> dict[str, Any]:
    return {"since": hold.since, "hosts": [[refusal.host, refusal.cause.value] for refusal in hold.refusals]}


def _hold(entry: Any) -> PolicyHold:
    hosts = entry.get("hosts") if isinstance(entry, dict) else None
    if not isinstance(hosts, list) or not all(map(_is_refusal, hosts)):
        raise FieldError("'policy' isn't a time with hosts and causes")
    refusals = tuple(HostRefusal(host, cause_named(cause)) for host, cause in hosts[:MOST_REFUSALS])
    return _HOLD.from_object({"since": entry.get("since"), "refusals": refusals})


def _is_refusal(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) for word in pair)


def _cause(value: Any) -> CauseKind:
    if not isinstance(value, str):
        raise ValueError
    return cause_named(value)


def _recipient_object(recipient: Recipient) -> dict[str, Any]:
    tried = recipient.attempts or recipient.due or recipient.error or recipient.report
    return (_TRIED if tried else _UNTRIED).to_object(recipient)


def _recipients(value: Any) -> tuple[Recipient, ...]:
    return tuple((_TRIED if "attempts" in entry else _UNTRIED).from_object(entry) for entry in _objects(value))


def _objects(value: Any) -> list[dict[str, Any]]:
    if not all(isinstance(item, dict) for item in listed(value)):
        raise ValueError
    found: list[dict[str, Any]] = value
    return found


_HOLD = FieldCodec(PolicyHold, {"refusals": FieldForm("hosts and causes", None, lambda value: value)})
_CAUSE = FieldForm("text", str, _cause)
_WHY = {"policy": FieldForm("a time with hosts and causes", _hold_object, _hold), "cause": _CAUSE}
_UNTRIED = FieldCodec(Recipient, _WHY, always={"state"})
_TRIED = FieldCodec(Recipient, _WHY, always={"state", "attempts", "due", "error", "report"})
_RECIPIENTS = FieldForm(
    "a list of objects",
    lambda recipients: [_recipient_object(each) for each in recipients],
    _recipients,
    lambda recipients: tuple([_UNTRIED.to_tuple(each) for each in recipients]),
    lambda rows: tuple([_UNTRIED.from_tuple(row) for row in rows]),
)
_KEYS = {"reverse_path": "from", "recipients": "to"}
_FIRST = {"size", "body", "smtputf8", "icid", "client", "helo", "held"}
_ENVELOPE = FieldCodec(Envelope, {"recipients": _RECIPIENTS}, _KEYS, _FIRST)
# Of a client's message with that ENVID it has to be said that it is no such report.
_NAMED_AS_REPORT = FieldCodec(Envelope, {"recipients": _RECIPIENTS}, _KEYS, _FIRST | {"double_bounce"})


# --- the spool's line ------------------------------------------------------------------------------


def encode(
    envelope: Envelope, failures: Mapping[int, Bounced] | None = None, relayed: Mapping[int, Delivered] | None = None
) -> bytes:
    """The envelope as one line of JSON with its LF."""
    codec = _NAMED_AS_REPORT if envelope.envid == OLD_DOUBLE_BOUNCE else _ENVELOPE
    line: dict[str, Any] = {"v": VERSION, **codec.to_object(envelope)}
    if failures:
        line["failures"] = [_failure_object(rid, bounced) for rid, bounced in failures.items()]
    if relayed:
        line["relayed"] = [{"rid": rid, "dcid": o.dcid, "reply": o.reply} for rid, o in relayed.items()]
    text = json.dumps(line, ensure_ascii=False, separators=(", ", ": "))
    # Undecodable octets of a peer may sit in a str as lone surrogates; they have to survive.
    return text.encode("utf-8", "surrogatepass") + b"\n"


def decode(line: bytes) -> StoredEnvelope:
    """Read an envelope line. Unknown keys are passed over, so that an older version can read a newer one's
    files.

    :raises SpoolFileError: with what is missing or wrong.
    """
    if not line.endswith(b"\n"):
        raise SpoolFileError("the envelope line isn't complete" if line else "the file is empty")
    try:
        entry = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise SpoolFileError(f"the envelope line isn't JSON: {type(error).__name__}") from error
    if not isinstance(entry, dict):
        raise SpoolFileError("the envelope line isn't a JSON object")
    version = entry.get("v")
    if type(version) is not int or version < 0:
        raise SpoolFileError("'v' isn't a whole number")
    if version != VERSION:
        raise SpoolFileError(f"schema version {version} isn't known (this is version {VERSION})")
    try:
        return StoredEnvelope(_envelope(entry), _failures(entry), _relayed(entry))
    except ValueError as error:
        raise SpoolFileError(str(error)) from error


def _envelope(entry: dict[str, Any]) -> Envelope:
    if "double_bounce" not in entry and entry.get("envid") == OLD_DOUBLE_BOUNCE:
        entry["double_bounce"] = not (entry.get("icid") or entry.get("from"))
    envelope = _ENVELOPE.from_object(entry)
    recipients = envelope.recipients
    if not recipients:
        raise SpoolFileError("the envelope has no recipients")
    if len({recipient.rid for recipient in recipients}) != len(recipients):
        raise SpoolFileError("two recipients have the same RID")
    if any(r.state is RecipientState.BOUNCING and not r.report for r in recipients):
        raise SpoolFileError("a failed recipient has no report")
    return envelope


@attrs.frozen
class _Failure:
    """Why a recipient failed, as the line has it."""

    rid: int
    dcid: int
    host: str
    code: int
    enhanced: str
    text: str
    remote: tuple[str, ...]
    cause: CauseKind | None = None

    def outcome(self) -> Bounced:
        error = Permanent(self.enhanced, self.text, self.code, self.remote, self.cause)
        return Bounced(error, self.dcid, self.host)


@attrs.frozen
class _Relayed:
    """A recipient handed on, as the line has it."""

    rid: int
    dcid: int
    reply: str


_FAILURE, _RELAYED = FieldCodec(_Failure, {"cause": _CAUSE}), FieldCodec(_Relayed)


def _failure_object(rid: int, bounced: Bounced) -> dict[str, Any]:
    error = bounced.error
    return _FAILURE.to_object(
        _Failure(rid, bounced.dcid, bounced.host, error.code, error.enhanced, error.text, error.remote, error.cause)
    )


def _failures(entry: dict[str, Any]) -> dict[int, Bounced]:
    found = [_FAILURE.from_object(item) for item in _listed_objects(entry, "failures")]
    return {each.rid: each.outcome() for each in found}


def _relayed(entry: dict[str, Any]) -> dict[int, Delivered]:
    found = [_RELAYED.from_object(item) for item in _listed_objects(entry, "relayed")]
    return {each.rid: Delivered(each.dcid, each.reply) for each in found}


def _listed_objects(entry: dict[str, Any], key: str) -> list[dict[str, Any]]:
    try:
        return _objects(entry.get(key, []))
    except ValueError:
        raise SpoolFileError(f"{key!r} isn't a list of objects") from None


# --- in memory -------------------------------------------------------------------------------------


def pack(envelope: Envelope) -> bytes:
    """The envelope in few octets, for `unpack` in the same process. As JSON it takes a hundred more."""
    return marshal.dumps(_ENVELOPE.to_tuple(envelope))


def unpack(packed: bytes) -> Envelope:
    """The envelope again."""
    # These octets were made by `pack` in this process and are never read from anywhere.
    return _ENVELOPE.from_tuple(marshal.loads(packed))  # noqa: S302
