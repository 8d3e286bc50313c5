"""The commands of the sections of the configuration: which key of the schema each is for, and what it is called."""

from __future__ import annotations

import click

from seg.cli.context import CommandContext
from seg.cli.options import Answering, WordChoice, json_or_text
from seg.cli.output import say
from seg.cli.sections import NamedSection, named_group, section_command, section_group
from seg.common.errors import ConfigurationError
from seg.config.destinations import AuthProfile
from seg.config.receive import Auth, ListenerSettings, Receive, Recipients, SenderGroup
from seg.config.schema import DNS, TLS, Control, Delivery, Filter, GatewaySettings, MetricsPage, QueueSettings
from seg.config.submission import Submission

WHOLE_SPOOL = ("memory", "max_report_size")

gatewayconfig = section_group(
    "gatewayconfig",
    "The gateway itself: its names and folder, the control socket and admin API, the page of metrics; in force at the next start",
    {
        "names": ("gateway", GatewaySettings, "Host name, postmaster and folder"),
        "control": ("control", Control, "The control socket, and the admin API over TLS"),
        "metrics": ("metrics", MetricsPage, "The page of metrics for Prometheus"),
    },
)
dnsconfig = section_command("dnsconfig", "dns", DNS, "Resolvers")
deliveryconfig = section_command("deliveryconfig", "delivery", Delivery, "Sending mail on")
sslconfig = section_command(
    "sslconfig", "tls", TLS, "Authorities trusted for other hosts, protocols and ciphers of each direction"
)
receiveconfig = section_command("receiveconfig", "receive", Receive, "Limits and rules for mail handed in")
queueconfig = section_command(
    "queueconfig", "queue", QueueSettings, "The retry schedule of destinations without a bounce profile"
)
rcptaccess = section_command("rcptaccess", "recipients", Recipients, "Recipients of clients that may not relay")
listenerconfig = named_group(
    NamedSection("listenerconfig", "settings", "listener", ListenerSettings, "listener", "Listeners", "relay")
)
hostaccess = named_group(
    NamedSection(
        "hostaccess", "settings", "sender_group", SenderGroup, "sender group", "The host access table", "RELAYLIST"
    )
)
filterconfig = named_group(
    NamedSection("filterconfig", "settings", "filter", Filter, "filter", "Content filters and milters", "filter")
)
bounceconfig = named_group(
    NamedSection(
        "bounceconfig",
        "destinations",
        "bounce_profile",
        QueueSettings,
        "bounce profile",
        "Bounce profiles",
        is_array=False,
        without=WHOLE_SPOOL,
    )
)
authconfig = named_group(
    NamedSection(
        "authconfig",
        "destinations",
        "auth_profile",
        AuthProfile,
        "AUTH profile",
        "Who we are to next hops that want AUTH: smtproutes name a profile. Use --password-file; --password is seen by others",
        is_array=False,
    )
)
submissionauth = section_command("submissionauth", "auth", Auth, "Who may authenticate at our listeners, and how")
submissionconfig = section_command(
    "submissionconfig", "submission", Submission, "What is done to the header of messages that begin their way here"
)


@bounceconfig.command()
@click.option("--profile", metavar="NAME", help="Bounce profile; else what holds without one.")
@click.option(
    "--language", "languages", multiple=True, metavar="TAG", help="Instead of the profile's (may be repeated)."
)
@click.option("--kind", type=WordChoice(["failed", "delayed", "relayed"]), default="failed", show_default=True)
@json_or_text
def preview(context: CommandContext, profile: str | None, languages: tuple[str, ...], kind: str) -> Answering:
    """Show a report as its reader would see it, from the files as they are now (also those in reports/ that you edit)."""
    from seg.cli.preview import sample

    try:
        message = sample(context.files(), profile, languages, kind)
    except ConfigurationError as error:
        raise click.ClickException("\n".join(error.problems)) from None
    text = message.get_body(("plain",))
    assert text is not None  # every report has one
    yield {"subject": str(message["Subject"]), "text": text.get_content(), "source": message.as_string()}
    say(f"From: {message['From']}\nSubject: {message['Subject']}\n\n{text.get_content()}", nl=False)
