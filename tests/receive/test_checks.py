"""Who may send from whom, and to whom: every rule as a row of a table."""

from __future__ import annotations

from ipaddress import ip_address

import attrs
from twisted.trial.unittest import SynchronousTestCase

from seg.config.receive import Access, Auth, Recipients, SenderGroup
from seg.local.table import LocalTable
from seg.receive.access import AccessDecision
from seg.receive.checks import (
    NOT_OWN_ADDRESS,
    TOO_MANY_MESSAGES,
    TOO_MANY_RECIPIENTS,
    ClientFacts,
    ReceiveRules,
    check_mail,
    check_rcpt,
    check_vrfy,
)
from seg.receive.recipients import NO_SUCH_USER, RELAYING_DENIED, RecipientAccess
from seg.receive.senders import NO_RULES, SenderRules
from seg.smtp.reply import Reply
from seg.smtp.server_auth import AUTH_REQUIRED
from seg.smtp.server_replies import STARTTLS_FIRST

RULES = ReceiveRules(RecipientAccess(Recipients(accept=("one.test",))), NO_RULES, 3)
OWN = attrs.evolve(RULES, senders=SenderRules(Auth(own_address_only=True)))
LOCAL = attrs.evolve(RULES, local=lambda: LocalTable(frozenset({"one.test"}), "", "", strict=True))


def client(access: Access = Access.RELAY, group: SenderGroup | None = None, **facts: object) -> ClientFacts:
    """One that the host access table says this of, with these keys of its group."""
    group = attrs.evolve(group or SenderGroup(name="G"), access=access)
    return ClientFacts(ip_address("192.0.2.1"), access=AccessDecision(group, "ALL"), **facts)  # type: ignore[arg-type]


class MailTests(SynchronousTestCase):
    """`check_mail`."""

    def test_table(self) -> None:
        """TLS and AUTH where the group wants them, a user's own address, and so many messages on a connection."""
        tls, auth = SenderGroup(name="G", tls_required=True), SenderGroup(name="G", auth_required=True)
        few = SenderGroup(name="G", max_messages=2)
        table: tuple[tuple[ClientFacts, ReceiveRules, int, Reply | None], ...] = (
            (client(), RULES, 0, None),
            (client(group=tls), RULES, 0, STARTTLS_FIRST),
            (client(group=tls, encrypted=True), RULES, 0, None),
            (client(group=auth), RULES, 0, AUTH_REQUIRED),
            (client(group=auth, identity="bob@one.test"), RULES, 0, None),
            (client(identity="bob@one.test"), OWN, 0, NOT_OWN_ADDRESS),
            (client(identity="alice@one.test"), OWN, 0, None),
            (client(), OWN, 0, None),
            (client(group=few), RULES, 1, None),
            (client(group=few), RULES, 2, TOO_MANY_MESSAGES),
        )
        for facts, rules, sent, wanted in table:
            self.assertEqual(check_mail(facts, "alice@one.test", rules, sent), wanted, facts)


class RcptTests(SynchronousTestCase):
    """`check_rcpt` and `check_vrfy`."""

    def test_relaying(self) -> None:
        """Anywhere for who may relay, by address, AUTH or certificate; else by the recipient access table, or not at all."""
        stranger, nobody = client(Access.ACCEPT), client(Access.REJECT)
        table: tuple[tuple[ClientFacts, str, Reply | None], ...] = (
            (client(), "a@two.test", None),
            (stranger, "a@one.test", None),
            (stranger, "a@two.test", RELAYING_DENIED),
            (attrs.evolve(stranger, identity="bob"), "a@two.test", None),
            (attrs.evolve(stranger, certificate="CN=x"), "a@two.test", None),
            (nobody, "a@one.test", RELAYING_DENIED),
            (ClientFacts(ip_address("192.0.2.1")), "a@one.test", RELAYING_DENIED),
        )
        for facts, address, wanted in table:
            self.assertEqual(check_vrfy(facts, address, RULES), wanted, (facts, address))
            self.assertEqual(check_rcpt(facts, address, 0, RULES), wanted, (facts, address))

    def test_number(self) -> None:
        """So many recipients as the group says, or the listener; VRFY doesn't count."""
        few = SenderGroup(name="G", max_recipients=1)
        for facts, count, wanted in (
            (client(), 2, None),
            (client(), 3, TOO_MANY_RECIPIENTS),
            (client(group=few), 0, None),
            (client(group=few), 1, TOO_MANY_RECIPIENTS),
        ):
            self.assertEqual(check_rcpt(facts, "a@two.test", count, RULES), wanted)
            self.assertIsNone(check_vrfy(facts, "a@two.test", RULES))

    def test_local(self) -> None:
        """Whoever isn't on this machine is refused, also to who may relay."""
        self.assertEqual(check_rcpt(client(), "nobody@one.test", 0, LOCAL), NO_SUCH_USER)
        self.assertIsNone(check_rcpt(client(), "postmaster@one.test", 0, attrs.evolve(LOCAL, local=None)))
        self.assertIsNone(check_rcpt(client(), "a@two.test", 0, LOCAL))
