"""Why an MTA-STS record or policy can't be had: each says what is wrong in one line for people."""

from __future__ import annotations

import enum

from seg.mail.errors import LocalFault
from seg.policy.mtasts.answer import FetchTrace


class FetchFault(enum.StrEnum):
    """What kind of obstacle stopped a fetch."""

    DNS = "dns"
    ADDRESS = "address"  # one that a stranger's DNS must not lead to
    CONNECT = "connect"
    PROXY = "proxy"
    TLS = "tls"
    CERTIFICATE = "certificate"
    HTTP_STATUS = "http-status"
    REDIRECT = "redirect"
    MEDIA_TYPE = "media-type"
    TOO_LARGE = "too-large"
    TIMEOUT = "timeout"
    INVALID_POLICY = "invalid-policy"
    BUSY = "busy"  # ours: no turn was free
    LOCAL = "local"  # ours: descriptors, memory, an error in the program


class FetchError(Exception):
    """No policy could be fetched: a cached one stays in force, else there is none; try again after a while.

    :param cause: one line without the URL: status, TLS reason, certificate names and dates, grammar fault.
    :param url: filled in by the fetcher where whoever raises this doesn't know it.
    :param status: of the HTTP answer, where that is the fault; else 0.
    """

    def __init__(self, fault: FetchFault, cause: str, url: str = "", status: int = 0) -> None:
        super().__init__(fault, cause, url, status)
        self.fault = fault
        self.cause = cause
        self.url = url
        self.status = status
        self.doing = ""  # what was being done when it happened; the fetcher knows
        self.met: FetchTrace | None = None  # what had been found out by then; the fetcher knows
        self.doubtful = False  # of a proxy: it may be the policy host's failure that it tells
        self.of_host = False  # of a proxy: it says that it can't reach the policy host

    @property
    def kind(self) -> str:
        """The fault in short, with the HTTP status if it is that: ``http-status 404``."""
        return f"{self.fault} {self.status}" if self.status else str(self.fault)

    def __str__(self) -> str:
        return f"{self.cause} ({self.url})" if self.url else self.cause


class OwnFetchFault(LocalFault):
    """A fetch came to nothing for a reason of ours: it says nothing of the domain, and is never remembered as its failure.

    :param fault: `FetchFault.PROXY`, `BUSY` or `LOCAL`.
    :param cause: one line: what is lacking.
    :param doubtful: it may be the policy host's failure, told by the proxy.
    """

    def __init__(self, fault: FetchFault, cause: str, doubtful: bool = False) -> None:
        begin = "not looked at yet" if fault is FetchFault.BUSY else "not known"
        super().__init__(f"MTA-STS policy {begin}: {cause}")
        self.fault = fault
        self.cause = cause
        self.doubtful = doubtful
        self.doing = ""
        self.met: FetchTrace | None = None  # what had been found out by then; the fetcher knows


class RecordFault(enum.StrEnum):
    """What is wrong with the TXT records at ``_mta-sts``."""

    MULTIPLE = "multiple-records"
    NOT_ASCII = "not-ascii"
    FIELD = "invalid:field-syntax"
    ID = "invalid:id-syntax"
    EXTENSION = "invalid:ext-value"
    NO_ID = "invalid:missing-id"


class RecordError(Exception):
    """The TXT records can't be used: treat the domain as one without a record (RFC 8461 §3.1)."""

    def __init__(self, fault: RecordFault, text: str) -> None:
        super().__init__(fault, text)
        self.fault = fault
        self.text = text

    def __str__(self) -> str:
        return self.text


class PolicyFault(enum.StrEnum):
    """What is wrong with a policy."""

    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    MEDIA_TYPE = "content-type"
    NOT_UTF8 = "not-utf8"
    BOM = "bom"
    CONTROL = "control-char"
    BARE_CR = "bare-cr"
    NO_COLON = "line-without-colon"
    KEY = "bad-key"
    VERSION = "version"
    MODE = "mode"
    MAX_AGE = "max_age"
    MX_SYNTAX = "mx-syntax"
    MX_LENGTH = "mx-length"
    MX_ADDRESS = "mx-ip"
    EXTENSION = "ext-value"
    NO_VERSION = "missing-version"
    NO_MODE = "missing-mode"
    NO_MAX_AGE = "missing-max_age"
    NO_MX = "missing-mx"


class PolicyError(Exception):
    """A policy that can't be used as a whole: a cached one stays in force (sts-policy-invalid, RFC 8460 §4.3.2.1).

    :param line: 1-based; 0: the fault isn't that of one line.
    """

    def __init__(self, fault: PolicyFault, text: str, line: int = 0) -> None:
        super().__init__(fault, text, line)
        self.fault = fault
        self.text = text
        self.line = line

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text
