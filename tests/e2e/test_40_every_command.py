"""Every command of ``seg``, with ``--json`` where it has one, against a running gateway: none is left out, and each answer has a schema."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator

import click
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from seg.cli.main import LazyGroup, main
from tests.e2e.base import MESSAGE, ROOT, SEG, GatewayCase
from tests.e2e.test_26_json_outputs import DEEDS, LOOKS, validator

# In this order: the schema ("" for a command without --json), and the command.
COMMANDS = (
    ("Diff", "destconfig new one.example --tls required --recipient-limit 100"),
    ("Diff", "destconfig edit one.example --tls preferred --inherit recipient-limit"),
    ("Diff", "destconfig default --tls preferred"),
    ("Diff", "destconfig setup --tls-alert on"),
    ("Diff", "destconfig new two.example --limit-per address"),
    ("Diff", "destconfig delete two.example"),
    ("", "destconfig export controls.ini"),
    ("Diff", "destconfig import controls.ini --merge"),
    ("Destinations", "destconfig list"),
    ("Destination", "destconfig detail one.example"),
    ("Diff", "destconfig clear --yes"),
    ("Diff", "smtproutes new one.example relay.example"),
    ("Diff", "smtproutes edit one.example relay.example:26"),
    ("routes", "smtproutes print"),
    ("routes", "smtproutes list"),
    ("", "smtproutes export routes"),
    ("Diff", "smtproutes import routes --replace"),
    ("Diff", "smtproutes new two.example /dev/null"),
    ("Diff", "smtproutes delete two.example"),
    ("Diff", "smtproutes clear --yes"),
    ("Diff", "bounceconfig new patient --lifetime 7d"),
    ("Diff", "bounceconfig edit patient --lifetime 8d"),
    ("entries", "bounceconfig list"),
    ("preview", "bounceconfig preview"),
    ("Diff", "bounceconfig delete patient"),
    ("certificates", "certconfig list"),
    ("certificate", "certconfig check gw.pem"),
    ("imported", "certconfig import gw gw.pem"),
    ("certificate_made", "certconfig new made made.example"),
    ("", "certconfig export made"),
    ("certificate_deleted", "certconfig delete made --yes"),
    ("authorities", "certconfig authorities"),
    ("Diff", "listenerconfig new second --port 0"),
    ("Diff", "listenerconfig edit second --banner hello"),
    ("entries", "listenerconfig list"),
    ("Diff", "listenerconfig delete second"),
    ("Diff", "hostaccess new OFFICE --match 10.0.0.0/8 --access relay"),
    ("Diff", "hostaccess edit OFFICE --max-messages 10"),
    ("entries", "hostaccess list"),
    ("Diff", "hostaccess delete OFFICE"),
    ("Diff", "logconfig new trouble --level warning"),
    ("Diff", "logconfig edit trouble --level info"),
    ("entries", "logconfig list"),
    ("Diff", "logconfig delete trouble"),
    ("Diff", "authconfig new provider --username us --password secret"),
    ("Diff", "authconfig edit provider --unverified on"),
    ("entries", "authconfig list"),
    ("Diff", "authconfig delete provider"),
    ("Diff", "filterconfig new scanner --address inet:127.0.0.1:9"),
    ("Diff", "filterconfig edit scanner --when-away accept"),
    ("entries", "filterconfig list"),
    ("Diff", "filterconfig delete scanner"),
    ("Diff", "rcptaccess --accept one.example"),
    ("values", "rcptaccess --show"),
    ("Diff", "receiveconfig --max-recipients 900"),
    ("Diff", "deliveryconfig --max-connections 90"),
    ("Diff", "queueconfig --delay-warning 1h"),
    ("values", "gatewayconfig names --show"),
    ("values", "gatewayconfig metrics --show"),
    ("Diff", "gatewayconfig control --mode 0600"),
    ("setup", "setup --folder fresh --yes --no-dns --hostname gw.example.net --listen 127.0.0.1:2525"),
    ("Diff", "dnsconfig --cache-entries 5000"),
    ("Diff", "sslconfig --inbound-min-version TLSv1.3"),
    ("values", "logconfig --show"),
    ("Diff", "submissionauth --own-address-only on"),
    ("Diff", "submissionconfig --clients relay"),
    ("Changes", "changes"),
    ("Diff", "changes rebase"),
    ("Committed", "commit -m everything"),
    ("CommitDetail", "commitdetail"),
    ("Commits", "rollbackconfig"),
    ("Diff", "receiveconfig --max-recipients 800"),
    ("Cleared", "clearchanges --yes"),
    ("Reloaded", "reload"),
    ("Configuration", "showconfig"),
    ("user", "user add alice --password-stdin"),
    ("user", "user passwd alice --password-stdin"),
    ("users", "user list"),
    ("user", "user delete alice --yes"),
    ("token", "token add monitoring"),
    ("tokens", "token list"),
    ("token_deleted", "token delete monitoring --yes"),
    ("Dialogues", "debug one.example -n 2"),
    ("event", "tail --lines 1"),
    ("", "grep Listener"),
    ("story", "findevent --mid 1"),
    ("installation", "check-install"),
    ("Suspension", "suspenddel one.example"),
    ("Suspension", "resumedel one.example"),
    ("Suspension", "suspendlistener relay"),
    ("Suspension", "resumelistener relay"),
    ("Suspension", "suspend"),
    ("Check", "explain here.example"),
    ("Check", "tlsverify here.example"),
    ("Check", "stsverify here.example"),
    ("Check", "daneverify here.example"),
    ("", "completion bash"),
    ("Message", "queue show 2"),
    ("", "showmessage 2"),
    ("workqueue_rate", "workqueue rate -n 1"),
    ("Corrupt", "queue corrupt list"),
    ("HeldByPolicy", "queue held-by-policy"),
    ("PolicyReport", "policyreport --days 3"),
    ("Done", "queue retry --all"),
    ("Done", "redirectrecipients --host 127.0.0.1:9 --domain here.example --yes"),
    ("Done", "bouncerecipients --domain here.example --yes"),
    ("Done", "queue delete --all --yes"),
)  # fmt: skip
MAY_FAIL = frozenset(
    {"tlsverify", "stsverify", "daneverify", "queue delete", "check-install"}
)  # they find a fault, or nothing to do: exit status 1
ELSEWHERE = frozenset({"demo"})  # tests/lab/test_demo.py: it runs a gateway of its own


def leaves() -> Iterator[str]:
    """Every command that does something."""
    context = click.Context(main)
    for verb in LazyGroup.verbs:
        command = main.get_command(context, verb)
        if isinstance(command, click.Group):
            yield from (f"{verb} {name}" for name in command.commands)
        else:
            yield verb


def named(words: tuple[str, ...]) -> str:
    """The command without its arguments."""
    command = main.get_command(click.Context(main), words[0])
    return " ".join(words[:2]) if isinstance(command, click.Group) and {*words[1:2]} & {*command.commands} else words[0]


class CompletenessTests(SynchronousTestCase):
    """The list above."""

    def test_none_left_out(self) -> None:
        """A new command has to be put into one of the lists."""
        listed = [tuple(shlex.split(line)) for _, line in COMMANDS]
        covered = {named(words) for words in [*listed, *(words for _, words in LOOKS + DEEDS)]}
        self.assertEqual(set(leaves()) - covered, ELSEWHERE)


class EveryCommandTests(GatewayCase):
    """One after the other."""

    timeout = 180

    async def test_all(self) -> None:
        """Each works against the running gateway, and its JSON is as its schema says."""
        await self.internet.add_domain("here.example")
        gateway = await self.start_gateway()
        self.internet.authority.issue(["gw.example"]).write(gateway.folder / "gw.pem")
        await gateway.inject("alice@sender.example", "bob@here.example", MESSAGE)
        await self.internet.wait_for_messages("here.example")
        for schema, line in COMMANDS:
            if line == "queue show 2":  # the gateway is suspended: this one waits
                await self.seg("resumelistener", "relay")
                await gateway.inject("alice@sender.example", "bob@here.example", MESSAGE)
            words = [*shlex.split(line), *([] if schema == "" else ["--json"])]
            output, error, status = await deferToThread(self._talk, words)
            allowed = (0, 1) if named(tuple(words)) in MAY_FAIL else (0,)
            self.assertIn(status, allowed, f"seg {line}: {output}{error}")
            if schema:
                problems = [f"{e.json_path}: {e.message}" for e in validator(schema).iter_errors(json.loads(output))]
                self.assertEqual(problems, [], f"seg {line}: {output}")

    def _talk(self, words: list[str]) -> tuple[str, str, int]:
        assert self.gateway is not None
        done = subprocess.run(
            [*SEG, "--config", str(self.gateway.configuration), *words],
            input="correct horse battery\n",
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": ROOT},
            cwd=self.gateway.folder,
        )
        return done.stdout, done.stderr, done.returncode
