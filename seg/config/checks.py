"""Rules of ``etc/seg.toml`` that types can't express: forms of text values, and keys that must fit
together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from itertools import combinations
from typing import Any

from seg.config.receive import Auth, ListenerAuth, ListenerSettings, ListenerTLS, SenderGroup
from seg.config.schema import DNS, Control, Delivery, QueueSettings
from seg.config.subscriptions import check_file_name, check_kind_of_events, parse_syslog_address
from seg.config.syntax import (
    check_ciphers,
    check_groups,
    check_ipv4,
    check_ipv6,
    check_mailbox,
    check_mechanism,
    check_mode,
    check_name_pattern,
    check_proxy,
    check_recipient_entry,
    check_sender,
    check_sender_entry,
    check_words,
    overlapping,
    parse_address,
    parse_endpoint,
    parse_hostname,
    parse_network,
)

_LEAST_SIZE = 1024  # octets of a message
_LONGEST_BANNER = 200  # characters: the greeting is a reply line (RFC 5321 §4.5.3.1.5)
Check = Callable[[str], object]  # raises ValueError

# Of an array each element is checked. An empty string means "not set", but not for the keys in `_REQUIRED`.
FORMS: dict[tuple[str, str], Check] = {
    ("gateway", "hostname"): parse_hostname,
    ("gateway", "postmaster"): check_mailbox,
    ("gateway", "local_users"): check_mailbox,
    ("gateway", "local_domains"): parse_hostname,
    ("listener", "address"): parse_address,
    ("listener", "client_names"): check_name_pattern,
    ("control", "address"): parse_address,
    ("metrics", "address"): parse_address,
    ("receive", "relay_networks"): parse_network,
    ("receive", "proxy_networks"): parse_network,
    ("receive", "xclient_networks"): parse_network,
    ("sender_group", "match"): check_sender,
    ("sender_group", "reject_text"): check_words,
    ("recipients", "accept"): check_recipient_entry,
    ("recipients", "reject"): check_recipient_entry,
    ("recipients", "reject_text"): check_words,
    ("auth", "mechanisms"): check_mechanism,
    ("auth", "senders"): check_sender_entry,
    ("submission", "domain"): parse_hostname,
    ("dns", "resolvers"): parse_endpoint,
    ("dns", "trusted"): parse_network,
    ("mta_sts", "proxy"): check_proxy,
    ("delivery", "source_address"): check_ipv4,
    ("delivery", "source_address6"): check_ipv6,
    ("default", "source_address"): check_ipv4,
    ("default", "source_address6"): check_ipv6,
    ("default", "ehlo_name"): parse_hostname,
    ("destination", "source_address"): check_ipv4,
    ("destination", "source_address6"): check_ipv6,
    ("destination", "ehlo_name"): parse_hostname,
    ("log_subscription", "events"): check_kind_of_events,
    ("log_subscription", "file"): check_file_name,
    ("log_subscription", "address"): parse_syslog_address,
    ("control", "mode"): check_mode,
    ("tls", "inbound_ciphers"): check_ciphers,
    ("tls", "outbound_ciphers"): check_ciphers,
    ("tls", "inbound_groups"): check_groups,
    ("tls", "outbound_groups"): check_groups,
}
_REQUIRED = {("gateway", "var"), ("listener", "address"), ("log_subscription", "address"), ("control", "mode")}


def form_fault(section: str, key: str, value: Any) -> str:
    """What is wrong with the form of a text value; "" when nothing is."""
    if value == "" and (section, key) in _REQUIRED:
        return "must not be empty"
    check = FORMS.get((section, key))
    if check is None or value == "":
        return ""
    for name, item in _parts(value):
        try:
            check(item)
        except ValueError as error:
            return f"{name}: {error}" if name else str(error)
    return ""


def _parts(value: Any) -> Iterator[tuple[str, str]]:
    """The texts of a value, each with the name that it stands under in a table ("" elsewhere)."""
    if isinstance(value, dict):
        yield from ((f'"{name}"', item) for name, items in value.items() for item in items)
    else:
        yield from (("", item) for item in (value if isinstance(value, tuple) else (value,)))


def listener_faults(listener: ListenerSettings) -> Iterator[tuple[str, str]]:
    """Keys of one listener that don't fit together, as (key, fault)."""
    if listener.tls is not ListenerTLS.OFF and not listener.certificate:
        yield "tls", f"{listener.tls} needs a certificate; none is set"
    if listener.more_certificates and not listener.certificate:
        yield "more_certificates", "more certificates are set, but not the one for all other names (certificate)"
    if not listener.banner.isprintable() or not listener.banner.isascii() or len(listener.banner) > _LONGEST_BANNER:
        yield "banner", f"wants at most {_LONGEST_BANNER} printable ASCII characters"
    if listener.auth is not ListenerAuth.OFF and listener.tls is ListenerTLS.OFF:
        yield (
            "auth",
            f'"{listener.auth}" needs TLS: passwords are never taken in clear text; set tls to starttls, required or implicit',
        )
    if listener.client_certificates and listener.tls is ListenerTLS.OFF:
        yield "client_certificates", "certificates of clients need TLS; set tls to starttls, required or implicit"
    if listener.client_names and not listener.client_certificates:
        yield "client_names", "names are set, but not client_certificates"
    if listener.key and not listener.certificate:
        yield "key", "a key is set, but no certificate"


def group_faults(group: SenderGroup, names: Set[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with one sender group, as (key, fault); `names` are those of the groups before it."""
    if group.name in names:
        yield "name", f'another group is called "{group.name}"'
    if not group.match:
        yield "match", 'names nobody; write networks, host names, or "ALL"'
    if 0 < group.max_message_size < _LEAST_SIZE:
        yield "max_message_size", f"must be 0 (that of [receive]) or at least {_LEAST_SIZE}"


def name_faults(listeners: tuple[ListenerSettings, ...]) -> Iterator[tuple[int, str]]:
    """Listeners that are called as an earlier one, as (number from 0, fault)."""
    seen: set[str] = set()
    for number, listener in enumerate(listeners):
        if listener.name in seen:
            yield number, f'another listener is called "{listener.name}"; give each a name of its own'
        seen.add(listener.name)


def binding_faults(listeners: tuple[ListenerSettings, ...]) -> Iterator[tuple[int, str]]:
    """Listeners that can't be bound beside an earlier one, as (number from 0, fault)."""
    for (_, one), (number, other) in combinations(enumerate(listeners), 2):
        if one.port and one.port == other.port and overlapping(one.address, other.address):
            yield number, f"{other.address} port {other.port} is taken by another listener ({one.address})"


def queue_faults(queue: QueueSettings) -> Iterator[tuple[str, str]]:
    """Keys of the retry schedule that contradict each other."""
    if queue.max_retry < queue.first_retry:
        yield (
            "max_retry",
            f"the longest wait ({queue.max_retry:g} s) is shorter than first_retry ({queue.first_retry:g} s)",
        )


def dns_faults(dns: DNS) -> Iterator[tuple[str, str]]:
    """Keys of the resolver that contradict each other."""
    if dns.lifetime < dns.timeout:
        yield (
            "lifetime",
            f"a question's life ({dns.lifetime:g} s) is shorter than the wait for one answer "
            f"(timeout, {dns.timeout:g} s)",
        )


def delivery_faults(delivery: Delivery) -> Iterator[tuple[str, str]]:
    """Provider lists that would leave the profiles' TLS options without anybody to enforce them."""
    providers = delivery.providers
    if len(set(providers)) != len(providers):
        yield "providers", "a provider is named twice"
    if "static" not in providers:
        yield "providers", "static must be among them: it is what enforces the tls option of the profiles"


def control_faults(control: Control) -> Iterator[tuple[str, str]]:
    """Keys of the admin API that don't fit together."""
    if control.address and not control.certificate:
        yield (
            "address",
            "the admin API is served over TLS only; set certificate (and key), or leave the address empty",
        )
    if control.key and not control.certificate:
        yield "key", "a key is set, but no certificate"


def auth_faults(auth: Auth) -> Iterator[tuple[str, str]]:
    """A check of senders by no rule."""
    if auth.check_header_from and not (auth.own_address_only or auth.senders):
        yield "check_header_from", "nothing says which addresses are a user's; set own_address_only, or senders"


SECTION_CHECKS: dict[str, Callable[[Any], Iterator[tuple[str, str]]]] = {
    "auth": auth_faults,
    "queue": queue_faults,
    "dns": dns_faults,
    "delivery": delivery_faults,
    "control": control_faults,
}
