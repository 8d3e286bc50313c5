"""The operator's checks over the API; `seg.check.answer` has what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import attrs

from seg.check.checks import CheckError, CheckKind, CheckRequest, parse_domain
from seg.common.errors import ConfigurationError
from seg.common.json_schema import DescribedAs, Keywords
from seg.config.destinations import Destinations
from seg.config.load import parse_destinations
from seg.config.problems import offered

KEYS = ("kind", "domain", "host", "port", "destinations")
LONGEST_HOST = 255


@attrs.frozen
class RunCheck:
    """One check."""

    SCHEMA: ClassVar = Keywords(additionalProperties=False)

    kind: CheckKind
    domain: str
    host: str = ""
    port: Annotated[int | None, Keywords(minimum=0, maximum=65535)] = None
    destinations: Annotated[Destinations | None, DescribedAs(str), "the text of a destinations.toml to use instead"] = (
        None
    )

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> RunCheck:
        """:raises CheckError: it can't be asked so."""
        unknown = [name for name in body if name not in KEYS]
        if unknown:
            raise CheckError(f"unknown key {unknown[0]!r}{offered(unknown[0], KEYS)}")
        try:
            kind = CheckKind(body.get("kind", ""))
        except ValueError:
            raise CheckError(f"kind must be one of {', '.join(CheckKind)}, not {body.get('kind')!r}") from None
        domain, host, port = body.get("domain"), body.get("host", ""), body.get("port", 0)
        if not isinstance(domain, str):
            raise CheckError("domain must be a text")
        if not isinstance(host, str) or len(host) > LONGEST_HOST or not host.isprintable():
            raise CheckError("host must be a host name or an IP address")
        if type(port) is not int or not 0 <= port <= 65535:
            raise CheckError("port must be a number from 1 to 65535")
        return cls(kind, parse_domain(domain), host.strip(), port, _destinations(body.get("destinations")))

    @property
    def question(self) -> CheckRequest:
        """The same as the check takes it."""
        return CheckRequest(self.kind, self.domain, self.host, self.port or 0, self.destinations)


def _destinations(text: object) -> Destinations | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise CheckError("destinations must be the text of a destinations.toml")
    try:
        return parse_destinations(text)
    except ConfigurationError as error:
        raise CheckError("\n".join(error.problems)) from None
