"""``seg setup``: the first configuration of a gateway, asked for or by options."""

from __future__ import annotations

import datetime
import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click

from seg.cli.context import CommandContext
from seg.cli.dialogue import ask, can_ask, confirm
from seg.cli.options import JSON
from seg.cli.output import say
from seg.cli.rights import as_user
from seg.cli.setup_dns import DNSFinding, look_at_dns
from seg.cli.setup_files import SYSTEM, FileExists, Written, default_folder, existing, owner_of, write_all
from seg.cli.setup_plan import (
    SECRET,
    Answers,
    Planned,
    SmartHost,
    host_and_port,
    hostname_fault,
    listen_fault,
    network_fault,
    planned,
    smart_host_fault,
)
from seg.cli.tables import plain, print_json
from seg.config.trust import gateway_user, user_name

LOOPBACK = ("127.0.0.0/8", "::1/128")
SUBMISSION = 587


@attrs.frozen
class FirstUser:
    """The first user of submission."""

    name: str
    password: str = attrs.field(repr=False)


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where the configuration goes; else /etc/seg for root and for whoever may write there, ./etc for others.",
)
@click.option("--hostname", metavar="NAME", help="Full name of this gateway, as other servers see it.")
@click.option(
    "--postmaster", metavar="ADDRESS", help="Who gets mail to <postmaster>, and is the sender shown in reports."
)
@click.option(
    "--local-users",
    metavar="ADDRESS",
    help="Who gets mail to root and other users of this machine; else root's goes to the postmaster, and others have none.",
)
@click.option(
    "--var", metavar="DIR", help="Folder of spool, log and caches; else /var/lib/seg for /etc/seg, var beside ./etc."
)
@click.option(
    "--relay-networks",
    multiple=True,
    metavar="NET[,NET]",
    help="Networks that may relay (may be repeated); else this machine only.",
)
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help="Where mail is received; else 127.0.0.1:2525, with --relay-networks 0.0.0.0:25.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="PEM file of the certificate, with the intermediates behind it.",
)
@click.option("--key", type=click.Path(path_type=Path), help="PEM file with its key; without: in the same file.")
@click.option(
    "--no-tls",
    is_flag=True,
    help="No certificate: clients can't encrypt. Without --certificate and this one is made (self-signed).",
)
@click.option("--submission", is_flag=True, help=f"Take mail of users with a password at port {SUBMISSION}.")
@click.option(
    "--submission-port", type=click.IntRange(1, 65535), default=SUBMISSION, show_default=True, help="Its port."
)
@click.option("--user", metavar="NAME", help="The first user of submission.")
@click.option(
    "--user-password-file",
    type=click.Path(path_type=Path),
    help="File with the password in its first line; - is standard input.",
)
@click.option("--smart-host", metavar="HOST[:PORT]", help="Send all mail there instead of to the MX of its domain.")
@click.option("--smart-user", metavar="NAME", help="User name for AUTH at the smart host.")
@click.option(
    "--smart-password-file",
    type=click.Path(path_type=Path),
    help="File with the password for it in its first line; it is copied.",
)
@click.option("--no-dns", is_flag=True, help="Don't look up what the DNS says of the host name.")
@click.option(
    "--force", is_flag=True, help="Replace files that are there; the old ones are kept with .old behind their names."
)
@click.option("--yes", is_flag=True, help="Ask nothing: what isn't given has its default.")
@JSON
@click.pass_obj
def setup(context: CommandContext, /, **given: Any) -> None:
    """Write a first configuration: asks for what it needs, shows what the DNS still lacks, and tells how to start.

    Nothing that is there is overwritten without being asked for. Later changes: seg gatewayconfig, listenerconfig, receiveconfig and so on.

    \b
    seg setup
    seg setup --yes --hostname mx.example.com --relay-networks 192.0.2.0/24
    seg setup --yes --hostname mx.example.com --smart-host smtp.example.net:587 --smart-user me --smart-password-file pw
    """
    asking = not given["yes"]
    if asking and not can_ask():
        raise click.UsageError("no terminal to ask at: say --yes, and --hostname NAME at least")
    folder = (given["folder"] or default_folder()).absolute()
    wishes = _Wishes(given, folder, asking)
    hostname = wishes.hostname()
    findings = [] if given["no_dns"] else look_at_dns(hostname)
    if asking:
        _show_dns(findings)
    answers, user, files = wishes.rest(hostname)
    try:
        added = (user.name, user.password) if user else None
        written = write_all(folder, files, added, _replace(given, folder, files, asking), given["force"])
    except FileExists as error:
        raise click.ClickException(f"{error}: say --force to replace it (the old one is kept)") from None
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or folder}: {error.strerror or error}; nothing else was changed"
        ) from None
    _tell(given["as_json"], folder, answers, findings if not asking else [], written)


def _replace(given: dict[str, Any], folder: Path, files: list[Planned], asking: bool) -> bool:
    """Whether files that are there may be replaced."""
    there = existing(files)
    if not there or given["force"]:
        return True
    if not asking:
        return False
    names = ", ".join(path.name for path in there)
    if not confirm(
        f"{names} in {folder} {'is' if len(there) == 1 else 'are'} there already: replace (the old is kept)?"
    ):
        raise click.Abort
    return True


class _Wishes:
    """Each answer: from its option, else asked for, else the default; checked the same way wherever it comes from."""

    def __init__(self, given: dict[str, Any], folder: Path, asking: bool) -> None:
        self._given = given
        self._folder = folder
        self._asking = asking

    def hostname(self) -> str:
        """Which gateway it is."""
        from seg.common.machine import machine_name

        default = machine_name()
        name = self._one("hostname", "Full name of this gateway, as other servers see it:", default, hostname_fault)
        return name.rstrip(".").lower()

    def rest(self, hostname: str) -> tuple[Answers, FirstUser | None, list[Planned]]:
        """All answers, and the files that come of them.

        :raises click.ClickException: one can't be used.
        """
        networks = self._networks()
        listen = self._one(
            "listen",
            "Address and port to receive mail at:",
            "127.0.0.1:2525" if networks == LOOPBACK else "0.0.0.0:25",
            listen_fault,
        )
        address, port = host_and_port(listen, 25)
        certificate, key, made = self._certificate(hostname)
        wants = self._given["submission"] or bool(self._given["user"])
        if self._asking and not wants:
            wants = confirm("Take mail of users with a password (submission)?")
        user = self._user(bool(certificate)) if wants else None
        answers = Answers(
            hostname,
            self._one("postmaster", "Who gets mail to <postmaster>?", f"postmaster@{hostname}", _mailbox_fault),
            self._one(
                "local_users",
                "Who gets mail to root and other users of this machine? Empty: the postmaster gets root's:",
                "",
                lambda text: _mailbox_fault(text) if text else "",
            ),
            self._given["var"] or ("/var/lib/seg" if self._folder == SYSTEM else str(self._folder.parent / "var")),
            networks,
            address,
            port,
            certificate,
            key,
            self._given["submission_port"] if user else 0,
            self._smart_host(),
        )
        return answers, user, self._checked(answers, made)

    def _one(self, option: str, question: str, default: str, fault: Callable[[str], str]) -> str:
        value = self._given[option]
        if value is None and self._asking:
            return ask(question, default, fault)
        value = default if value is None else value
        if wrong := fault(value):
            raise click.UsageError(f"--{option.replace('_', '-')}: {wrong}")
        return str(value)

    def _networks(self) -> tuple[str, ...]:
        given = self._given["relay_networks"]
        if not given and self._asking:
            text = ask("Networks that may relay, with commas between them:", ", ".join(LOOPBACK), _networks_fault)
            return _split(text)
        networks = _split(",".join(given)) if given else LOOPBACK
        if wrong := _networks_fault(",".join(networks)):
            raise click.UsageError(f"--relay-networks: {wrong}")
        return networks

    def _certificate(self, hostname: str) -> tuple[str, str, list[Planned]]:
        """Certificate and key of the listeners, and the file that has to be made for them."""
        file, key = self._given["certificate"], self._given["key"]
        if self._given["no_tls"]:
            if file:
                raise click.UsageError("--certificate and --no-tls don't go together")
            return "", "", []
        if file is None and self._asking:
            question = "PEM file of the certificate; empty: one is made, self-signed:"
            answer = ask(question, "", lambda text: self._certificate_fault(text, "") if text else "")
            file = Path(answer) if answer else None
        if file is not None:
            if wrong := self._certificate_fault(str(file), str(key or "")):
                raise click.UsageError(f"--certificate: {wrong}")
            return str(file.absolute()), str(key.absolute()) if key else "", []
        from seg.tls.selfsigned import self_signed

        target = self._folder / "certificates" / f"{hostname}.pem"
        if target.is_file() and not self._certificate_fault(str(target), ""):
            return str(target), "", []
        made = Planned(target, self_signed(hostname, datetime.datetime.now(datetime.UTC)), SECRET)
        return str(target), "", [made]

    def _certificate_fault(self, certificate: str, key: str) -> str:
        """What is wrong with a certificate, "" for nothing. Whom the configuration will belong to must be able to read it as well."""
        from seg.tls.inventory import server_file

        now = datetime.datetime.now(datetime.UTC)
        file = server_file(certificate, key, now)
        if not file.problems and file.chain:
            owner = owner_of(self._folder)
            with as_user(*owner):
                file = server_file(certificate, key, now)
            if file.problems:
                hint = "leave it out now, then seg certconfig import makes a copy"
                return f"{file.problems[0]} (for user {user_name(owner[0])}; {hint})"
        return "; ".join(file.problems) or ("" if file.chain else f"{certificate} holds no certificate")

    def _user(self, tls: bool) -> FirstUser:
        from seg.auth.names import InvalidName, prepare_name, prepare_password

        if not tls:
            raise click.UsageError("submission wants TLS: leave --no-tls out")
        name = self._one(
            "user", "Name of the first user (an address is best):", "", lambda text: "" if text else "a name is needed"
        )
        password = self._secret("user_password_file", f"Password of {plain(name)}: ")
        if len(password) < 8:
            raise click.ClickException("a password has at least 8 characters")
        try:
            return FirstUser(prepare_name(name), prepare_password(password))
        except InvalidName as error:
            raise click.ClickException(str(error)) from None

    def _smart_host(self) -> SmartHost | None:
        text = self._given["smart_host"]
        if text is None and self._asking:
            text = ask(
                "Smart host that all mail goes to; empty: each domain by its MX:",
                "",
                lambda t: smart_host_fault(t) if t else "",
            )
        if not text:
            if self._given["smart_user"]:
                raise click.UsageError("--smart-user wants --smart-host")
            return None
        if wrong := smart_host_fault(text):
            raise click.UsageError(f"--smart-host: {wrong}")
        host, port = host_and_port(text, 25)
        user = self._given["smart_user"]
        if user is None and self._asking:
            user = ask("User name there; empty: without AUTH:")
        password = self._secret("smart_password_file", f"Password of {plain(user)}: ") if user else ""
        return SmartHost(host, port, user or "", password)

    def _secret(self, option: str, prompt: str) -> str:
        """A password, from a file or asked for; never from an argument."""
        file = self._given[option]
        if file is None and self._asking:
            text = getpass.getpass(prompt)
            if text != getpass.getpass("Again: "):
                raise click.ClickException("the two passwords differ")
            return text
        if file is None:
            raise click.UsageError(f"--{option.replace('_', '-')} FILE is needed (- is standard input)")
        try:
            with sys.stdin if str(file) == "-" else open(file, encoding="utf-8") as lines:
                text = lines.readline().rstrip("\r\n")
        except (OSError, UnicodeError) as error:
            raise click.UsageError(f"{file} can't be read: {error}") from None
        if not text:
            raise click.UsageError(f"{file} has no password in its first line")
        return text

    def _checked(self, answers: Answers, made: list[Planned]) -> list[Planned]:
        """The files, read as the gateway will read them."""
        from seg.admin.configuration.texts import ConfigurationTexts, parsed
        from seg.common.errors import ConfigurationError
        from seg.config.find import find_configuration

        files = [*made, *planned(self._folder, answers)]
        destinations, settings = (file.data.decode() for file in files[-2:])
        try:
            parsed(ConfigurationTexts(settings, destinations), find_configuration(str(self._folder / "seg.toml")))
        except ConfigurationError as error:
            raise click.ClickException("\n".join(error.problems)) from None
        return files


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.replace(",", " ").split())


def _networks_fault(text: str) -> str:
    networks = _split(text)
    return next(filter(None, map(network_fault, networks)), "") if networks else "name a network"


def _mailbox_fault(text: str) -> str:
    from seg.config.syntax import check_mailbox

    try:
        check_mailbox(text)
    except ValueError as error:
        return f"{text!r}: {error}"
    return ""


def _show_dns(findings: list[DNSFinding]) -> None:
    for finding in findings:
        say(f"  {'ok' if finding.ok else 'DNS'}: {plain(finding.text)}")


def _tell(as_json: bool, folder: Path, answers: Answers, findings: list[DNSFinding], written: list[Written]) -> None:
    """What was done, what is left to do, and how to start."""
    file = folder / "seg.toml"
    start = "systemctl enable --now seg" if folder == SYSTEM and os.geteuid() == 0 else f"twistd -n seg --config {file}"
    look = "seg status" if folder == SYSTEM else f"seg --config {file} status"
    if as_json:
        files = [{"file": str(each.path), "replaced": each.kept} for each in written]
        dns = [attrs.asdict(finding) for finding in findings]
        print_json({"hostname": answers.hostname, "files": files, "dns": dns, "start": start, "look": look})
        return
    for each in written:
        say(f"Written: {each.path}" + (f" (the old one is {each.kept})" if each.kept else ""))
    if findings:
        say("\nThe DNS:")
        _show_dns(findings)
    say(
        "Besides, the SPF record of each domain that sends through this gateway has to name it (v=spf1 a:"
        + f"{answers.hostname} -all)."
    )
    if answers.certificate and Path(answers.certificate).is_relative_to(folder / "certificates"):
        say(
            f"The certificate is self-signed: a real one goes to {answers.certificate} (seg certconfig import), and is read without a restart."
        )
    if folder == SYSTEM and os.geteuid() == 0 and not gateway_user():
        say("\nThere is no user seg yet, and the files belong to root: make it, then see seg check-install.")
    say(f"\nTo start it:  {start}")
    ports = sorted(port for port in {answers.port, answers.submission} if 0 < port < 1024)
    if ports and folder != SYSTEM:
        say(
            f"              (as root for port {' and '.join(map(str, ports))}; --uid and --gid of twistd give the rights up)"
        )
    say(f"To look:      {look}; seg demo shows what it can do")
