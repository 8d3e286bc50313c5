"""Envelopes of every shape, for the lines in ``spool.jsonl``. Lines are only ever added to that file: a spool written by any version is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from seg.mail.causes import CauseKind
from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Envelope, HostRefusal, PolicyHold, Recipient, RecipientState
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced, Delivered
from seg.queue.codec import StoredEnvelope

LINES = Path(__file__).with_name("spool.jsonl")


def shapes() -> Iterator[StoredEnvelope]:
    """An envelope with nothing optional, then one for each thing that may stand in it, then one with everything."""
    plain = Recipient(0, "bob@rcpt.example")
    basic = Envelope(
        7, "alice@client.example", (plain,), 1727364219.25, 4096, icid=3, client="192.0.2.7", helo="c.example"
    )
    yield StoredEnvelope(basic)
    recipients = [
        {"attempts": 3, "due": 1727364300.5, "error": "4.4.1: connection refused"},
        *({"notify": frozenset(asked)} for asked in ((), (DSNNotify.SUCCESS,), (DSNNotify.FAILURE, DSNNotify.DELAY))),
        {"orcpt": "rfc822;bob+2Bx@rcpt.example"},
        {"warned": True},
        {"via": "relay.example:2525"},
        {"via": "unix:/run/lmtp"},
        {"policy": PolicyHold(1727364219.25, (HostRefusal("mx.rcpt.example", CauseKind.TLS_NOT_OFFERED),))},
        {"attempts": 1, "due": 1.0, "error": "4.7.0: AUTH", "cause": CauseKind.AUTH_PROFILE},
        *({"state": state} for state in RecipientState if state is not RecipientState.BOUNCING),
        {"address": "b\udcffb@rcpt.example"},  # an octet that isn't UTF-8
        {"address": "bücher@bücher.example"},
        {"address": "postmaster"},
    ]
    for changes in recipients:
        yield StoredEnvelope(attrs.evolve(basic, recipients=(attrs.evolve(plain, **changes),)))
    failing = attrs.evolve(plain, state=RecipientState.BOUNCING, attempts=1, due=1.0, error="5.1.1: unknown", report=9)
    bounced = Bounced(
        Permanent("5.1.1", "unknown", 550, ("550-5.1.1 no", "550 5.1.1 such user")), 12, "mx.rcpt.example"
    )
    yield StoredEnvelope(attrs.evolve(basic, recipients=(failing,)), {0: bounced})
    delivered = attrs.evolve(plain, state=RecipientState.DELIVERED, notify=frozenset({DSNNotify.SUCCESS}))
    yield StoredEnvelope(attrs.evolve(basic, recipients=(delivered,)), {}, {0: Delivered(12, "2.0.0 taken")})
    envelopes = [
        {"body": BodyType.EIGHT_BIT},
        {"smtputf8": True},
        {"reverse_path": "", "icid": 0, "client": ""},
        {"held": True},
        *({"ret": ret} for ret in DSNRet),
        {"envid": "QQ314159"},
        {"envid": "double-bounce"},  # any client may say so
        {"requiretls": True},
        {"tls_optional": True},
        {"bounce_profile": "slow"},
        {"submitter": "alice"},
        {"damage": "the envelope was lost", "held": True},
        {"double_bounce": True, "reverse_path": "", "icid": 0},
        {"recipients": tuple(Recipient(rid, f"r{rid}@rcpt.example") for rid in range(3))},
        {"size": 0, "arrived": 0.0},
    ]
    for changes in envelopes:
        yield StoredEnvelope(attrs.evolve(basic, **changes))
