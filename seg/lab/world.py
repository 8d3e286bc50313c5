"""What a domain of the lab looks like from outside: its hosts, MTA-STS policy and TLSA records. Data only."""

from __future__ import annotations

import attrs

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.policyhost import Answer


@attrs.frozen
class TLSA:
    """A TLSA record of a host (RFC 6698), made from the certificate that it presents."""

    usage: int = 3
    selector: int = 1
    matching: int = 1
    wrong: bool = False  # for another key: what is left over after a certificate was changed carelessly


@attrs.frozen
class MX:
    """A host that takes mail for a domain."""

    host: str
    preference: int = 10
    behaviour: Behaviour = attrs.field(factory=Behaviour)
    names: tuple[str, ...] = ()  # of its certificate; () = its host name
    secure: bool | None = None  # whether its own zone is signed; None = as the domain that it was added with
    tlsa: tuple[TLSA | str, ...] = ()  # a str is record data as it stands
    address: str = ""  # "" = the next free one; "::1" for IPv6
    exists: bool = True  # False: no server there, connections are refused


@attrs.frozen
class Policy:
    """An MTA-STS policy with its TXT record (RFC 8461 §3.1 and §3.2)."""

    mode: str = "enforce"
    mx: tuple[str, ...] = ()  # patterns; () = the domain's MX hosts
    max_age: int = 86400  # seconds
    id: str = "20260101T000000"
    text: str = ""  # the whole policy as it stands, instead of the three above
    record: str = ""  # the TXT record as it stands; "" = one that fits `id`
    answer: Answer = Answer.GOOD
    certificate: Certificate = Certificate.GOOD
    exists: bool = True  # False: the policy host refuses connections

    def body(self, hosts: tuple[str, ...]) -> str:
        """The policy as served, for a domain with these MX hosts."""
        if self.text:
            return self.text
        lines = ["version: STSv1", f"mode: {self.mode}"]
        lines += [f"mx: {pattern}" for pattern in self.mx or hosts]
        return "\r\n".join([*lines, f"max_age: {self.max_age}"]) + "\r\n"

    def txt(self) -> str:
        """The TXT record at ``_mta-sts.<domain>``."""
        return self.record or f"v=STSv1; id={self.id};"
