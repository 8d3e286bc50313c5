"""Names of enhanced status codes (RFC 3463 §3), in the words that administrators of such gateways know."""

from __future__ import annotations

from collections.abc import Mapping

_TEXTS: Mapping[str, str] = {
    "0.0": "Other undefined status",
    "1.0": "Unknown address error",
    "1.1": "Bad destination email address",
    "1.2": "Bad destination host",
    "1.3": "Bad destination email address syntax",
    "1.4": "Ambiguous destination email address",
    "1.6": "Destination mailbox has moved",
    "1.7": "Bad sender's email address syntax",
    "1.8": "Bad sender's system address",
    "1.10": "Destination accepts no mail (null MX)",  # RFC 7505
    "2.0": "Unknown mailbox error",
    "2.1": "Mailbox disabled",
    "2.2": "Mailbox full",
    "2.3": "Message too large for the mailbox",
    "2.4": "Mailing list expansion problem",
    "3.0": "Other mail system problem",
    "3.1": "Mail system full",
    "3.2": "Not accepting messages at this time",
    "3.3": "System not capable of selected features",
    "3.4": "Message too big for system",
    "3.5": "System incorrectly configured",
    "4.0": "Other network problem",
    "4.1": "No answer from host",
    "4.2": "Bad connection",
    "4.3": "Directory server failure",
    "4.4": "Unable to route",
    "4.5": "Mail system congestion",
    "4.6": "Routing loop detected",
    "4.7": "Delivery expired (message too old)",
    "5.0": "Other protocol error",
    "5.1": "Invalid command",
    "5.2": "Syntax error",
    "5.3": "Too many recipients",
    "5.4": "Invalid command arguments",
    "5.5": "Wrong protocol version",
    "6.0": "Other media error",
    "6.1": "Media not supported",
    "6.2": "Conversion required and prohibited",
    "6.3": "Conversion required but not supported",
    "6.4": "Conversion with loss performed",
    "6.5": "Conversion failed",
    "6.7": "Non-ASCII addresses not supported",  # RFC 6531
    "7.0": "Other security problem",
    "7.1": "Delivery not authorized",
    "7.2": "Mailing list expansion prohibited",
    "7.3": "Security conversion required but not possible",
    "7.4": "Security features not supported",
    "7.5": "Cryptographic failure",
    "7.6": "Cryptographic algorithm not supported",
    "7.7": "Message integrity failure",
    "7.10": "Encryption needed",  # RFC 5248 registry
    "7.27": "Sender address has null MX",  # RFC 7505
    "7.30": "REQUIRETLS support required",  # RFC 8689
}


def status_text(enhanced: str) -> str:
    """The name of a code such as ``4.4.1``; that of its subject when the detail has none. Never raises."""
    _, _, status = enhanced.partition(".")
    return _TEXTS.get(status) or _TEXTS.get(status.partition(".")[0] + ".0") or _TEXTS["0.0"]
