"""The manual pages ``seg-sendmail(1)`` and ``seg-mailq(1)``; `seg.cli.manual` writes them."""

from __future__ import annotations

from seg.cli.roff import heading, terms, text
from seg.version import __version__

SENDMAIL = """
seg-sendmail takes a message at standard input and leaves it in the gateway's drop folder. It is durable there when the command
ends, whether the gateway runs or not; the gateway takes it within a second, or at its next start. Install it as sendmail for
the programs of a machine that send mail that way.

The message is a header, an empty line and a body, with lines that end in LF or CRLF. From, Date and Message-ID are added where they
are missing, addresses in From, To and their kin get the domain of this machine where they have none, Bcc and Return-Path are taken out; a field
that a DKIM signature covers isn't touched ([submission] in seg.toml). Without -i a line with a dot alone ends the message.

A recipient may be a list of addresses, with names or without; so may the fields of -t. A list that isn't clear about who is meant (a name
with a comma but without quotes, two addresses in one place) is refused as a whole: status 65, and nothing is sent.

With -bs lines may end in LF as well as in CRLF (those of BDAT, whose octets are counted, end in CRLF), and addresses may be without a domain.
The status is 0 unless the input ends within a message (65), or a message could not be stored (73, 75, 77), which the replies tell, too.

By the names mailq and newaliases the command does what -bp and -bi do.

Sender and recipients without a domain are of this machine; who gets their mail is in the file aliases beside seg.toml. Who dropped a
message is in the mail log, in its Received field and in seg queue show.
"""
OPTIONS = (
    (
        "-t",
        "Take the recipients from To, Cc and Bcc (of a message that is sent again, from Resent-To and its kin) as well.",
    ),
    (
        "-f ADDRESS, -r ADDRESS",
        "The envelope sender, with a name or without; '<>' is the null reverse-path. Else it is the user who runs the command.",
    ),
    ("-F NAME", "The full name of the sender, for a message without From."),
    ("-i, -oi", "A line with a dot alone doesn't end the message."),
    ("-B TYPE", "7BIT or 8BITMIME, without effect: the gateway looks at the content itself."),
    ("-N WISHES", "When to send a delivery status notification: never, or some of success,failure,delay."),
    ("-R WHAT", "How much of the message such a report is to return: full or hdrs."),
    ("-V ID", "The sender's own name for the message in such reports."),
    ("-bm", "Read a message; so it is without this option, too."),
    ("-bi", "Do nothing: the gateway reads the aliases again by itself when they have changed."),
    (
        "-bv",
        "Say of each recipient whether somebody takes mail for him, as far as can be told on this machine; nothing is sent.",
    ),
    ("-bs", "Speak SMTP at standard input and output."),
    ("-bp", "List the queue, as seg-mailq(1) does."),
    ("-q, -qINTERVAL", "Try all that waits now; the interval changes nothing."),
    ("-qIMID, -qRDOMAIN", "Try one message, or the mail for one domain."),
    ("-v", "Say on standard error what was handed in."),
    ("-C FILE", "The gateway's seg.toml; else /etc/seg/seg.toml, else etc/seg.toml of the working directory."),
    (
        "-A, -e, -h, -L, -O, -o, -p, -X",
        "Taken, with their values, and without effect, but for -oi, -O IgnoreDots, and -XV (VERP), which is refused.",
    ),
    ("-c, -G, -m, -n, -U, -x, -d", "Taken, and without effect."),
    (
        "-I",
        "As -bi. -bh and -bH do nothing, either; -bd, -bD, -bl, -ba, -bt, -bz and other letters are refused with status 64.",
    ),
    ("--", "What follows are recipients."),
)
STATUS = (
    ("0", "the message is in the drop folder"),
    ("64", "wrong usage"),
    ("65", "the message or an address was refused"),
    ("67", "nobody takes mail for a user of this machine: there is neither an alias nor local_users"),
    ("69", "an alias can't be used; too many recipients; for -bp and -q: the gateway doesn't run"),
    ("73", "there is no drop folder: the gateway makes it at its first start"),
    ("75", "try again (the disk is full)"),
    ("77", "not allowed: members of the drop folder's group may send, the gateway's user may use -bp and -q"),
    ("78", "the configuration can't be used"),
)
FILES = (
    ("/etc/seg/seg.toml", "the gateway's configuration, which must be readable for everybody who may send"),
    ("/etc/seg/aliases", "who gets the mail for users of this machine"),
    ("var/maildrop", "the drop folder"),
    ("var/maildrop/bad", "what the gateway didn't understand, or what broke a limit"),
)
MAILQ = """
seg-mailq lists the messages in the gateway's queue as mailq of Postfix does: id (MID), size in octets, time of arrival, sender, the last
failure in parentheses, and the recipients that wait. An asterisk behind the id says that the message is being tried, an exclamation mark
that it is held. It is the same as seg mailq and as seg-sendmail -bp, whose options it takes.

seg queue list shows the same as a table, with the time of the next try; seg queue why tells more of one message. The gateway has to run, and
only its user may ask it.
"""


def sendmail_page() -> str:
    """``seg-sendmail.1``."""
    return _page(
        "seg-sendmail",
        "send mail as programs do with sendmail",
        "[\\fIoptions\\fR] [\\fIrecipient\\fR ...]",
        SENDMAIL,
        ".SH OPTIONS",
        *terms(OPTIONS),
        ".SH EXIT STATUS",
        *terms(STATUS),
        ".SH FILES",
        *terms(FILES),
        ".SH SEE ALSO",
        ".BR seg (1),",
        ".BR seg\\-mailq (1)",
    )


def mailq_page() -> str:
    """``seg-mailq.1``."""
    return _page(
        "seg-mailq",
        "list the gateway's queue",
        "[\\fB\\-C\\fR \\fIfile\\fR]",
        MAILQ,
        ".SH EXIT STATUS",
        *terms([pair for pair in STATUS if pair[0] in ("64", "69", "77", "78")]),
        ".SH SEE ALSO",
        ".BR seg (1),",
        ".BR seg\\-sendmail (1)",
    )


def _page(name: str, does: str, arguments: str, description: str, *rest: str) -> str:
    escaped = name.replace("-", "\\-")
    lines = (
        heading(name, 1, f"seg {__version__}"),
        ".SH NAME",
        f"{escaped} \\- {does}",
        ".SH SYNOPSIS",
        f".B {escaped}",
        arguments,
        ".SH DESCRIPTION",
        *text(description),
        *rest,
    )
    return "\n".join(lines) + "\n"
