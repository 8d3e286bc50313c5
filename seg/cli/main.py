"""``seg``: look at the gateway's queue and act on it, follow its log, see a demonstration."""

from __future__ import annotations

import signal
import sys
import traceback
from types import TracebackType
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from seg.cli.context import CommandContext as CommandContext
from seg.cli.output import need_output, say, told_safely
from seg.cli.remote import RemoteOptions
from seg.version import __version__

T = TypeVar("T")
INTERRUPTED = 128 + signal.SIGINT  # the exit status after Ctrl-C, as shells have it
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def _told_safely(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python says of an exception that ends the program."""
    say("".join(traceback.format_exception(kind, error, trace)), err=True, nl=False)


def _show_version(verbose: bool) -> None:
    """``seg --version``, with or without ``-v``."""
    from seg.cli.status import versions

    facts = versions() if verbose else {"seg": __version__}
    say("\n".join(f"{name} {number}" for name, number in facts.items()))


class LazyGroup(click.Group):
    """Imports a verb's module only when that verb is used, so that each starts quickly."""

    sections = {
        "Look": {
            "status": "seg.cli.status:status",
            "rate": "seg.cli.rates:rate",
            "queue": "seg.cli.queue:queue",
            "mailq": "seg.cli.mailq:mailq",
            "workqueue": "seg.cli.workqueue:workqueue",
            "tophosts": "seg.cli.delivery:tophosts",
            "hoststatus": "seg.cli.delivery:hoststatus",
            "hostrate": "seg.cli.rates:hostrate",
            "topin": "seg.cli.delivery:topin",
            "showrecipients": "seg.cli.messages:showrecipients",
            "showmessage": "seg.cli.messages:showmessage",
            "oldmessage": "seg.cli.messages:oldmessage",
            "dnsstatus": "seg.cli.dnsstatus:dnsstatus",
            "policyshow": "seg.cli.policy_list:policyshow",
        },
        "Act": {
            "delivernow": "seg.cli.delivery:delivernow",
            "suspenddel": "seg.cli.delivery:suspenddel",
            "resumedel": "seg.cli.delivery:resumedel",
            "suspendlistener": "seg.cli.delivery:suspendlistener",
            "resumelistener": "seg.cli.delivery:resumelistener",
            "suspend": "seg.cli.delivery:suspend",
            "resume": "seg.cli.delivery:resume",
            "archivemessage": "seg.cli.messages:archivemessage",
            "removemessage": "seg.cli.messages:removemessage",
            "deleterecipients": "seg.cli.messages:deleterecipients",
            "bouncerecipients": "seg.cli.messages:bouncerecipients",
            "redirectrecipients": "seg.cli.redirect:redirectrecipients",
            "resetcounters": "seg.cli.rates:resetcounters",
            "dnsflush": "seg.cli.delivery:dnsflush",
            "policyflush": "seg.cli.delivery:policyflush",
        },
        "Check": {
            "explain": "seg.cli.check:explain",
            "tlsverify": "seg.cli.check:tlsverify",
            "stsverify": "seg.cli.check:stsverify",
            "daneverify": "seg.cli.check:daneverify",
            "policyreport": "seg.cli.policy_report:policyreport",
            "check-install": "seg.cli.check_install:check_install",
        },
        "Find in the mail log": {
            "debug": "seg.cli.debug:debug",
            "tail": "seg.cli.tail:tail",
            "grep": "seg.cli.find:grep",
            "findevent": "seg.cli.find:findevent",
        },
        "Configure (staged until: seg commit)": {
            "gatewayconfig": "seg.cli.section_commands:gatewayconfig",
            "destconfig": "seg.cli.destconfig:destconfig",
            "smtproutes": "seg.cli.smtproutes:smtproutes",
            "bounceconfig": "seg.cli.section_commands:bounceconfig",
            "certconfig": "seg.cli.certconfig:certconfig",
            "listenerconfig": "seg.cli.section_commands:listenerconfig",
            "hostaccess": "seg.cli.section_commands:hostaccess",
            "rcptaccess": "seg.cli.section_commands:rcptaccess",
            "receiveconfig": "seg.cli.section_commands:receiveconfig",
            "deliveryconfig": "seg.cli.section_commands:deliveryconfig",
            "queueconfig": "seg.cli.section_commands:queueconfig",
            "dnsconfig": "seg.cli.section_commands:dnsconfig",
            "sslconfig": "seg.cli.section_commands:sslconfig",
            "logconfig": "seg.cli.logconfig:logconfig",
            "authconfig": "seg.cli.section_commands:authconfig",
            "submissionauth": "seg.cli.section_commands:submissionauth",
            "submissionconfig": "seg.cli.section_commands:submissionconfig",
            "filterconfig": "seg.cli.section_commands:filterconfig",
        },
        "Change control": {
            "changes": "seg.cli.changes:changes",
            "commit": "seg.cli.changes:commit",
            "clearchanges": "seg.cli.changes:clearchanges",
            "commitdetail": "seg.cli.changes:commitdetail",
            "rollbackconfig": "seg.cli.changes:rollbackconfig",
            "reload": "seg.cli.changes:reload",
            "showconfig": "seg.cli.changes:showconfig",
        },
        "Users and operators": {
            "user": "seg.cli.user:user",
            "token": "seg.cli.token:token",
        },
        "Other": {
            "setup": "seg.cli.setup:setup",
            "demo": "seg.cli.demo:demo",
            "completion": "seg.cli.completion:completion",
            "version": "seg.cli.status:version",
        },
    }
    verbs = {name: place for section in sections.values() for name, place in section.items()}

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run; an exception that nobody expected doesn't steer the terminal either."""
        sys.excepthook = _told_safely
        need_output()
        return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """See `click.Group.make_context`."""
        with told_safely():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group.invoke`."""
        try:
            with told_safely():
                if ctx.params.get("show_version"):
                    _show_version(bool(ctx.params.get("verbose")))
                    ctx.exit()
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except click.Abort as error:  # a question of click's own makes both of the same
            if isinstance(error.__context__, KeyboardInterrupt):
                raise SystemExit(INTERRUPTED) from None
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group.resolve_command`; a verb that isn't there is answered with the nearest one that is."""
        name = str(args[0])
        if name not in self.verbs and not name.startswith("-") and not ctx.resilient_parsing:
            from seg.config.problems import meant

            ctx.fail(f"there is no command {name}{meant(name, self.verbs)} (seg --help lists all)")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which a newcomer needs them."""
        return list(self.verbs)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs in sections, each with the first sentence of its help."""
        for title, section in self.sections.items():
            commands = {name: self.get_command(ctx, name) for name in section}
            rows = [(name, command.get_short_help_str(90)) for name, command in commands.items() if command]
            with formatter.section(title):
                formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb itself."""
        from importlib import import_module

        place = self.verbs.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings=CONTEXT)
@click.option(
    "--config", "configuration", metavar="FILE", help="seg.toml of the gateway; else found as twistd seg does."
)
@click.option("--socket", metavar="PATH", help="Control socket of the gateway; else as the configuration says.")
@click.option(
    "--server",
    metavar="URL",
    envvar="SEG_SERVER",
    help="https://host:port of a gateway on another machine, with --token-file; or the variable SEG_SERVER.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    envvar="SEG_TOKEN_FILE",
    help="File with the token for --server (seg token add); or the variable SEG_TOKEN_FILE.",
)
@click.option(
    "--ca-file",
    metavar="FILE",
    envvar="SEG_CA_FILE",
    help="PEM file of the authorities that may have issued that gateway's certificate; or the variable SEG_CA_FILE; "
    "else the system's list.",
)
@click.option(
    "--version", "show_version", is_flag=True, help="Show the version; with -v of all parts, as seg version does."
)
@click.option("-v", "verbose", is_flag=True, help="With --version: the versions of what it is built on.")
@click.pass_context
def main(context: click.Context, /, configuration: str | None, socket: str | None, **options: Any) -> None:
    """Talk to the running mail gateway.

    \b
    seg status                 is it running, and how is it doing?
    seg queue list             what waits, and why
    seg explain DOMAIN         what would happen to a message now, and why
    seg tail -f                follow the mail log
    seg demo                   see the gateway at work in a small internet of its own

    Exit status: 0 done; 1 refused, or nothing to act on; 2 wrong usage, or the gateway isn't running; 130 Ctrl-C.
    """
    url = options["server"]
    there = RemoteOptions(url, options["token_file"], options["ca_file"]) if _is_remote(context, url) else None
    context.obj = CommandContext(configuration, socket, there)


def _is_remote(context: click.Context, url: str | None) -> bool:
    """Whether a gateway on another machine is meant: the command line goes before the environment.

    :raises click.UsageError: two gateways are named.
    """
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    here = given & {"configuration", "socket"}
    if here and given & {"server", "token_file", "ca_file"}:
        raise click.UsageError("--server is for a gateway on another machine: --config and --socket don't go with it")
    if url is None and given & {"token_file", "ca_file"}:
        raise click.UsageError("--token-file and --ca-file are for --server URL")
    return url is not None and not here
