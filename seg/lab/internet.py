"""The small internet: one name server, one policy host, and any number of domains with receiving hosts.

Every host has an address of its own in a part of 127.0.0.0/8 picked at random (Linux answers for all of it).
All MX hosts share one port, as on the real internet they share port 25; so do the policy hosts.
"""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorTCP, IReactorTime, IReactorUDP

from seg.lab.arrivals import Arrivals, ReceivedMessage
from seg.lab.configuration import GatewayFiles, gateway_files
from seg.lab.dnsserver import NameServer
from seg.lab.pki import Authority
from seg.lab.policyhost import PolicyHost
from seg.lab.proxy import ConnectProxy
from seg.lab.receiver import Receiver
from seg.lab.world import MX, TLSA, Policy

# Below the range from which Linux takes the ports of outgoing connections, so that none of those clashes.
PORTS = range(20000, 32000)
WRONG_DIGEST = "00" * 32


class NoLoopbackError(Exception):
    """This machine can't be used as it is; the text says why."""


@attrs.frozen
class Domain:
    """A domain as it was added."""

    name: str
    mx: tuple[MX, ...]
    policy: Policy | None
    receivers: tuple[Receiver, ...]


def free_port() -> int:
    """A TCP port that nobody uses on any address of this machine.

    :raises NoLoopbackError: none was found in a hundred tries.
    """
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104 - only so does it clash with every address
            except OSError:
                continue
            return port
    raise NoLoopbackError("no free TCP port was found between 20000 and 32000")


def _check_loopback(address: str) -> None:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as problem:
            text = f"can't use {address}: {problem.strerror} (all of 127.0.0.0/8 must be loopback)"
            raise NoLoopbackError(text) from problem


class Internet:
    """All of it. Make one with `start`; take it down with `stop`."""

    def __init__(self, reactor: IReactorTCP, folder: Path) -> None:
        self.reactor = reactor
        self.folder = folder
        self.authority = Authority()
        self.nameserver = NameServer(IReactorUDP(reactor))
        self.policy_host = PolicyHost(reactor, self.authority)
        self.arrivals = Arrivals(IReactorTime(reactor))
        self.receivers: dict[str, Receiver] = {}
        self.domains: dict[str, Domain] = {}
        self.proxy: ConnectProxy | None = None
        self.port = 0  # of every MX host
        self.https_port = 0  # of every policy host
        self.ca_file = folder / "lab-root.pem"
        network = secrets.choice(range(80, 240)) << 16 | secrets.choice(range(1, 250)) << 8
        self._base = IPv4Address("127.0.0.0") + network
        self._next = 0

    @classmethod
    async def start(cls, reactor: IReactorCore, folder: Path) -> Internet:
        """Start name server and policy host; `folder` (made if need be) takes the root certificate.

        :raises NoLoopbackError: the machine has no 127.0.0.0/8, or no free port.
        """
        folder.mkdir(parents=True, exist_ok=True)
        internet = cls(IReactorTCP(reactor), folder)
        address = internet.new_address()
        _check_loopback(address)
        internet.authority.write_root(internet.ca_file)
        internet.nameserver.start()
        internet.policy_host.start(address, free_port())
        internet.port, internet.https_port = free_port(), internet.policy_host.port
        return internet

    async def stop(self) -> None:
        """Close every port and connection."""
        for receiver in self.receivers.values():
            await receiver.stop()
        if self.proxy is not None:
            await self.proxy.stop()
        await self.policy_host.stop()
        await self.nameserver.stop()

    def new_address(self) -> str:
        """A loopback address that nobody here has yet."""
        self._next += 1
        return str(self._base + self._next)

    # --- domains ---

    async def add_domain(
        self,
        name: str,
        *,
        mx: Sequence[MX | str] | None = None,
        policy: Policy | None = None,
        secure: bool = False,
        null_mx: bool = False,
    ) -> Domain:
        """Make a domain with its MX hosts and its policy.

        :param mx: its hosts, a str being a well-behaved one; None is one named ``mx.<name>``; () is no MX
            record (a host named like the domain, by `add_receiver`, is then an implicit MX, RFC 5321 §5.1).
        :param secure: whether its zone is signed, so that answers from it carry AD.
        :param null_mx: the domain takes no mail (RFC 7505).
        """
        hosts = (MX(f"mx.{name}"),) if mx is None else tuple(MX(h) if isinstance(h, str) else h for h in mx)
        self.nameserver.zone(name, secure=secure)
        if null_mx:
            hosts = ()
            self.nameserver.add(name, "MX", "0 .")
        for host in hosts:
            self.nameserver.add(name, "MX", f"{host.preference} {host.host}.")
        receivers = tuple([await self.add_receiver(host, secure=secure) for host in hosts if host.exists])
        for host in hosts:
            if not host.exists:
                self.nameserver.add(host.host, "A", host.address or self.new_address())
        if policy is not None:
            self.set_policy(name, policy, tuple(host.host for host in hosts))
        self.domains[name] = domain = Domain(name, hosts, policy, receivers)
        return domain

    async def add_receiver(self, mx: MX, *, secure: bool = False) -> Receiver:
        """Start a host (or find the one of that name that runs) and publish its address and TLSA records.

        :param secure: whether its zone is signed, where `mx` doesn't say.
        """
        if mx.host in self.receivers:
            return self.receivers[mx.host]
        receiver = Receiver(self.reactor, mx.host, self.authority, mx.behaviour, names=mx.names, arrivals=self.arrivals)
        receiver.start(mx.address or self.new_address(), self.port)
        self.receivers[mx.host] = receiver
        if mx.host not in self.domains:
            self.nameserver.zone(mx.host, secure=secure if mx.secure is None else mx.secure)
        self.nameserver.add(mx.host, "AAAA" if ":" in receiver.address else "A", receiver.address)
        for record in mx.tlsa:
            self.set_tlsa(mx.host, record)
        return receiver

    def set_tlsa(self, host: str, *records: TLSA | str) -> None:
        """Add TLSA records for a host, at the port that MX hosts have here."""
        self.nameserver.add(self.tlsa_name(host), "TLSA", *(self._tlsa_data(host, record) for record in records))

    def tlsa_name(self, host: str) -> str:
        """Where the TLSA records of a host are (RFC 7672 §3.1.1: the port is part of the name)."""
        return f"_{self.port}._tcp.{host}"

    def set_policy(self, domain: str, policy: Policy, hosts: tuple[str, ...] = ()) -> None:
        """Publish a policy with its TXT record, in the place of what was there."""
        name = f"mta-sts.{domain}"
        self.nameserver.replace(f"_mta-sts.{domain}", "TXT", f'"{policy.txt()}"')
        self.nameserver.replace(name, "A", self.policy_host.address if policy.exists else self.new_address())
        body = policy.body(hosts or tuple(host.host for host in self.domains[domain].mx))
        self.policy_host.publish(domain, body, answer=policy.answer, certificate=policy.certificate)

    def remove_policy(self, domain: str) -> None:
        """Take the policy and its TXT record away."""
        self.nameserver.remove(f"_mta-sts.{domain}")
        self.nameserver.remove(f"mta-sts.{domain}")
        self.policy_host.withdraw(domain)

    def start_proxy(self, *, user: str = "", password: str = "", refuse: int = 0) -> ConnectProxy:
        """Start an HTTP proxy that knows the lab's names."""
        self.proxy = ConnectProxy(self.reactor, self.nameserver.addresses, user=user, password=password, refuse=refuse)
        self.proxy.start()
        return self.proxy

    def _tlsa_data(self, host: str, record: TLSA | str) -> str:
        if isinstance(record, str):
            return record
        # Usage 2 names an authority (RFC 6698 §2.1.1); ours is the second link of the chain.
        credential = self.receivers[host].credential
        data = credential.tlsa(record.usage, record.selector, record.matching, link=1 if record.usage == 2 else 0)
        return f"{record.usage} {record.selector} {record.matching} {WRONG_DIGEST}" if record.wrong else data

    # --- mail ---

    def messages(self, domain: str) -> list[ReceivedMessage]:
        """The messages that arrived for a domain, at whatever host."""
        return self.arrivals.chosen(lambda message: message.is_for(domain))

    def wait_for_messages(self, domain: str, count: int = 1, timeout: float = 10.0) -> Deferred[list[ReceivedMessage]]:
        """Fires with the messages for a domain once there are at least `count` (see `Arrivals.wait_for`)."""
        return self.arrivals.wait_for(lambda message: message.is_for(domain), count, timeout)

    def sessions(self, domain: str) -> int:
        """How many connections the hosts of a domain saw."""
        return sum(len(receiver.sessions) for receiver in self.domains[domain].receivers)

    # --- the gateway ---

    def gateway_configuration(
        self,
        *,
        port: int = 0,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        default: Mapping[str, object] | None = None,
        profiles: Mapping[str, Mapping[str, object]] | None = None,
        routes: Mapping[str, Sequence[object]] | None = None,
    ) -> GatewayFiles:
        """The configuration of a gateway that lives in this internet.

        :param port: where it listens; 0 picks a free one.
        :param settings: keys of seg.toml by section, over those chosen here: ``{"queue": {"jitter": 0.1}}``.
        :param default: keys of the Default profile; `profiles`: those of others.
        :param routes: SMTP routes: hosts by domain, as in destinations.toml; () is ``use_dns = true``.
        """
        chosen: dict[str, dict[str, object]] = {
            "dns": {"resolvers": [f"{self.nameserver.address}:{self.nameserver.port}"]},
            "tls": {"ca_file": str(self.ca_file)},
            "mta_sts": {"port": self.https_port},
            "delivery": {"port": self.port},
        }
        return gateway_files(port or free_port(), chosen, settings or {}, default or {}, profiles or {}, routes or {})
