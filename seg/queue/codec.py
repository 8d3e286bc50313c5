"""The envelope as the spool's files have it; pure.

A message is one file: its first line is the envelope as JSON, the rest is the content as received. Once the
envelope has changed, its present state is a second file of one line beside the message (``<id>.env``), and
that one counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import attrs

from seg.mail.causes import cause_named
from seg.mail.envelope import (
    MOST_REFUSALS,
    BodyType,
    DSNNotify,
    DSNRet,
    Envelope,
    HostRefusal,
    PolicyHold,
    Recipient,
    RecipientState,
)
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced, Delivered

SCHEMA = 1  # version of the envelope line
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


def encode(
    envelope: Envelope, failures: Mapping[int, Bounced] | None = None, relayed: Mapping[int, Delivered] | None = None
) -> bytes:
    """The envelope as one line of JSON with its LF."""
    line: dict[str, Any] = {
        "v": SCHEMA,
        "mid": envelope.mid,
        "from": envelope.reverse_path,
        "to": [_recipient_entry(recipient) for recipient in envelope.recipients],
        "arrived": envelope.arrived,
        "size": envelope.size,
        "body": envelope.body.value,
        "smtputf8": envelope.smtputf8,
        "icid": envelope.icid,
        "client": envelope.client,
        "helo": envelope.helo,
        "held": envelope.held,
    }
    if envelope.double_bounce or envelope.envid == OLD_DOUBLE_BOUNCE:
        line["double_bounce"] = envelope.double_bounce
    # What few messages have stands there only when they have it.
    line.update(
        {
            key: value
            for key, value in (
                ("ret", envelope.ret.value),
                ("envid", envelope.envid),
                ("bounce_profile", envelope.bounce_profile),
                ("submitter", envelope.submitter),
                ("requiretls", envelope.requiretls),
                ("tls_optional", envelope.tls_optional),
                ("damage", envelope.damage),
            )
            if value
        }
    )
    if failures:
        line["failures"] = [_failure_entry(rid, bounced) for rid, bounced in failures.items()]
    if relayed:
        line["relayed"] = [{"rid": rid, "dcid": o.dcid, "reply": o.reply} for rid, o in relayed.items()]
    text = json.dumps(line, ensure_ascii=False, separators=(", ", ": "))
    # Undecodable octets of a peer may sit in a str as lone surrogates; they have to survive.
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _recipient_entry(recipient: Recipient) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "rid": recipient.rid,
        "address": recipient.address,
        "state": recipient.state.value,
    }
    if recipient.attempts or recipient.due or recipient.error or recipient.report:
        entry.update(attempts=recipient.attempts, due=recipient.due, error=recipient.error, report=recipient.report)
    if recipient.notify is not None:
        entry["notify"] = sorted(recipient.notify)
    if recipient.orcpt:
        entry["orcpt"] = recipient.orcpt
    if recipient.warned:
        entry["warned"] = True
    if recipient.via:
        entry["via"] = recipient.via
    if recipient.policy is not None:
        hosts = [[refusal.host, refusal.cause.value] for refusal in recipient.policy.refusals]
        entry["policy"] = {"since": recipient.policy.since, "hosts": hosts}
    return entry


def _failure_entry(rid: int, bounced: Bounced) -> dict[str, Any]:
    error = bounced.error
    return {
        "rid": rid,
        "dcid": bounced.dcid,
        "host": bounced.host,
        "code": error.code,
        "enhanced": error.enhanced,
        "text": error.text,
        "remote": list(error.remote),
    }


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
    version = _integer(entry, "v")
    if version != SCHEMA:
        raise SpoolFileError(f"schema version {version} isn't known (this is version {SCHEMA})")
    try:
        return StoredEnvelope(_envelope(entry), _failures(entry), _relayed(entry))
    except ValueError as error:  # a state, body type or status code that doesn't exist
        raise SpoolFileError(str(error)) from error


def _envelope(entry: dict[str, Any]) -> Envelope:
    recipients = tuple(_recipient(item) for item in _objects(entry, "to"))
    if not recipients:
        raise SpoolFileError("the envelope has no recipients")
    if len({recipient.rid for recipient in recipients}) != len(recipients):
        raise SpoolFileError("two recipients have the same RID")
    if any(r.state is RecipientState.BOUNCING and not r.report for r in recipients):
        raise SpoolFileError("a failed recipient has no report")
    envid = _text(entry, "envid") if "envid" in entry else ""
    icid, reverse_path = _integer(entry, "icid"), _text(entry, "from")
    if "double_bounce" in entry:
        double_bounce = _flag(entry, "double_bounce")
    else:
        double_bounce = envid == OLD_DOUBLE_BOUNCE and not (icid or reverse_path)
    return Envelope(
        mid=_integer(entry, "mid"),
        reverse_path=reverse_path,
        recipients=recipients,
        arrived=_number(entry, "arrived"),
        size=_integer(entry, "size"),
        body=BodyType(_text(entry, "body")),
        smtputf8=_flag(entry, "smtputf8"),
        icid=icid,
        client=_text(entry, "client"),
        helo=_text(entry, "helo"),
        held=_flag(entry, "held"),
        ret=DSNRet(_text(entry, "ret") if "ret" in entry else ""),
        envid=envid,
        requiretls=_flag(entry, "requiretls") if "requiretls" in entry else False,
        tls_optional=_flag(entry, "tls_optional") if "tls_optional" in entry else False,
        bounce_profile=_text(entry, "bounce_profile") if "bounce_profile" in entry else "",
        submitter=_text(entry, "submitter") if "submitter" in entry else "",
        damage=_text(entry, "damage") if "damage" in entry else "",
        double_bounce=double_bounce,
    )


def _recipient(entry: dict[str, Any]) -> Recipient:
    rid, address, state = (
        _integer(entry, "rid"),
        _text(entry, "address"),
        RecipientState(_text(entry, "state")),
    )
    wishes: dict[str, Any] = {
        "notify": _notify(entry),
        "orcpt": _text(entry, "orcpt") if "orcpt" in entry else "",
        "warned": _flag(entry, "warned") if "warned" in entry else False,
        "via": _text(entry, "via") if "via" in entry else "",
        "policy": _policy(entry["policy"]) if "policy" in entry else None,
    }
    if "attempts" not in entry:
        return Recipient(rid, address, state, **wishes)
    return Recipient(
        rid,
        address,
        state,
        **wishes,
        attempts=_integer(entry, "attempts"),
        due=_number(entry, "due"),
        error=_text(entry, "error"),
        report=_integer(entry, "report"),
    )


def _policy(entry: Any) -> PolicyHold:
    hosts = entry.get("hosts") if isinstance(entry, dict) else None
    if not isinstance(hosts, list) or not all(map(_is_refusal, hosts)):
        raise SpoolFileError("'policy' isn't a time with hosts and causes")
    refusals = tuple(HostRefusal(host, cause_named(cause)) for host, cause in hosts[:MOST_REFUSALS])
    return PolicyHold(_number(entry, "since"), refusals)


def _is_refusal(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) for word in pair)


def _notify(entry: dict[str, Any]) -> frozenset[DSNNotify] | None:
    asked = entry.get("notify")
    if asked is None:
        return None
    if not isinstance(asked, list):
        raise SpoolFileError("'notify' isn't a list")
    return frozenset(map(DSNNotify, asked))


def _failures(entry: dict[str, Any]) -> dict[int, Bounced]:
    if "failures" not in entry:
        return {}
    return {_integer(item, "rid"): _failure(item) for item in _objects(entry, "failures")}


def _relayed(entry: dict[str, Any]) -> dict[int, Delivered]:
    if "relayed" not in entry:
        return {}
    return {
        _integer(item, "rid"): Delivered(_integer(item, "dcid"), _text(item, "reply"))
        for item in _objects(entry, "relayed")
    }


def _failure(entry: dict[str, Any]) -> Bounced:
    remote = entry.get("remote")
    if not isinstance(remote, list) or not all(isinstance(line, str) for line in remote):
        raise SpoolFileError("'remote' isn't a list of text")
    error = Permanent(_text(entry, "enhanced"), _text(entry, "text"), _integer(entry, "code"), tuple(remote))
    return Bounced(error, _integer(entry, "dcid"), _text(entry, "host"))


def _objects(entry: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = entry.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise SpoolFileError(f"{key!r} isn't a list of objects")
    return value


def _integer(entry: dict[str, Any], key: str) -> int:
    value = entry.get(key)
    if type(value) is not int or value < 0:  # bool is an int to isinstance
        raise SpoolFileError(f"{key!r} isn't a whole number")
    return value


def _number(entry: dict[str, Any], key: str) -> float:
    value = entry.get(key)
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise SpoolFileError(f"{key!r} isn't a number")
    return float(value)  # type: ignore[arg-type]


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise SpoolFileError(f"{key!r} isn't text")
    return value


def _flag(entry: dict[str, Any], key: str) -> bool:
    value = entry.get(key)
    if not isinstance(value, bool):
        raise SpoolFileError(f"{key!r} isn't true or false")
    return value
