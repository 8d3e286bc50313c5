"""Whether what a configuration names outside of itself can be used: files, ports, groups, plugins. Blocks.

What is in force already isn't tried again: its key may be for root's eyes only, and its port is taken by this very gateway.
"""

from __future__ import annotations

import datetime
import grp
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import attrs

from seg.admin.configuration.edits import File
from seg.common.errors import ConfigurationError
from seg.common.files import read_regular
from seg.config.destinations import AuthProfile, Destinations, Profile
from seg.config.problems import SettingError, meant, offered
from seg.config.receive import ListenerSettings, ListenerTLS
from seg.config.schema import Control, Settings
from seg.config.source import KeyPath
from seg.dsn.languages import FOLDER as REPORTS
from seg.dsn.languages import available
from seg.filter.plugins import unknown_kind
from seg.policy.plugins import unknown_provider
from seg.receive.binding import bind
from seg.tls.clients import TrustedClients
from seg.tls.context import server_context
from seg.tls.roots import load_roots

LARGEST_PASSWORD = 64 * 1024  # octets of a password file
Test = Callable[[], object]  # raises ConfigurationError, OSError, ValueError


@attrs.frozen
class Use:
    """One thing that a key names, and how to try it."""

    file: File
    where: KeyPath
    test: Test


def faults(
    settings: Settings,
    destinations: Destinations,
    folder: Path,
    in_force: tuple[Settings, Destinations] | None = None,
    at_start: bool = False,
) -> Iterator[tuple[File, KeyPath, str]]:
    """What can't be used: the file, the key, and why.

    :param settings: with whole paths, as `destinations`.
    :param folder: of the configuration.
    :param in_force: what the running gateway goes by; None: there is none.
    :param at_start: certificates whose dates are wrong are better than no gateway, and the ports are bound in a moment.
    """
    before = in_force or (None, None)
    for use in (
        *_of_settings(settings, folder, before[0], at_start),
        *_of_destinations(destinations, folder, before[1], at_start),
    ):
        try:
            use.test()
        except SettingError as error:
            yield use.file, error.where, error.text
        except ConfigurationError as error:
            yield from ((use.file, use.where, problem) for problem in error.problems)
        except (OSError, ValueError) as error:
            yield use.file, use.where, getattr(error, "strerror", None) or str(error)


# --- seg.toml -------------------------------------------------------------------------------------------------------


def _of_settings(new: Settings, folder: Path, old: Settings | None, at_start: bool) -> Iterator[Use]:
    known = {each.name: each for each in old.listener} if old else {}
    for number, listener in enumerate(new.listener):
        if listener != known.get(listener.name):
            yield from _of_listener(("listener", number), listener, old, at_start)
    control = new.control
    if control.address and (old is None or _shown(control) != _shown(old.control)):
        yield _certificate(File.SETTINGS, ("control",), (control.certificate, control.key), at_start)
    if control.group and (old is None or control.group != old.control.group):
        yield Use(File.SETTINGS, ("control", "group"), lambda: _group(control.group))
    tls = new.tls
    for key in ("ca_file", "extra_ca_file"):
        path = getattr(tls, key)
        if path and (old is None or path != getattr(old.tls, key)):
            yield Use(File.SETTINGS, ("tls", key), lambda path=path: load_roots(path))  # type: ignore[misc]
    address = new.metrics.address
    if address and (old is None or address != old.metrics.address):
        yield Use(File.SETTINGS, ("metrics", "address"), lambda: _own_address(address))
    yield from _of_names(new, folder, at_start)


def _of_names(new: Settings, folder: Path, at_start: bool) -> Iterator[Use]:
    """Names that stand for code or texts."""
    for where, text in (
        (("delivery", "providers"), unknown_provider(new.delivery.providers)),
        (("queue", "report_languages"), "" if at_start else _language(new.queue.report_languages, folder / REPORTS)),
        *((("filter", number, "kind"), unknown_kind(each.kind)) for number, each in enumerate(new.filter)),
    ):
        if text:
            yield Use(File.SETTINGS, where, lambda text=text: _raise(text))  # type: ignore[misc]


def _of_listener(where: KeyPath, listener: ListenerSettings, old: Settings | None, at_start: bool) -> Iterator[Use]:
    known = {files for each in old.listener for files in _files(each)} if old else set()
    for number, files in enumerate(_files(listener)):
        if files[0] and files not in known and (listener.tls is not ListenerTLS.OFF or not at_start):
            place: KeyPath = (*where, "more_certificates", number - 1) if number else where
            yield _certificate(File.SETTINGS, place, files, at_start)
    clients = listener.client_certificates
    if clients and (old is None or clients not in {each.client_certificates for each in old.listener}):
        names = listener.client_names
        yield Use(File.SETTINGS, (*where, "client_certificates"), lambda: TrustedClients(clients, names))
    served = {(each.address, each.port) for each in old.listener} if old else set()
    if old is not None and listener.port and (listener.address, listener.port) not in served:
        yield Use(File.SETTINGS, (*where, "port"), lambda: _free(where, listener))
    elif not at_start:
        yield Use(File.SETTINGS, (*where, "address"), lambda: _own_address(listener.address))


def _free(where: KeyPath, listener: ListenerSettings) -> None:
    """:raises SettingError: a listener's port can't be had now."""
    try:
        bind(listener).close()
    except SettingError as error:
        raise SettingError((*where, *error.where), error.text) from error


def _files(listener: ListenerSettings) -> list[tuple[str, str]]:
    return [(listener.certificate, listener.key), *((path, "") for path in listener.more_certificates)]


def _shown(control: Control) -> tuple[str, str, bool]:
    return control.certificate, control.key, bool(control.address)


def _own_address(address: str) -> None:
    """:raises SettingError: no interface of this machine has it."""
    parsed = ip_address(address)
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError as error:
            raise ConfigurationError((f"this machine has no address {address} ({error.strerror})",)) from error


def _group(name: str) -> None:
    """:raises ConfigurationError: there is no such group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        near = meant(name, [group.gr_name for group in grp.getgrall()])
        raise ConfigurationError((f'there is no group "{name}" on this machine{near}',)) from None


def _language(names: tuple[str, ...], folder: Path) -> str:
    there = available(folder)
    unknown = next((name for name in names if name not in there), "")
    return f'there is no language "{unknown}"{offered(unknown, there)}' if unknown else ""


def _raise(text: str) -> None:
    raise ConfigurationError((text,))


# --- destinations.toml ----------------------------------------------------------------------------------------------


def _of_destinations(new: Destinations, folder: Path, old: Destinations | None, at_start: bool) -> Iterator[Use]:
    known = old.certificates() if old else frozenset()
    for where, profile in _profiles(new):
        files = (profile.certificate, profile.key)
        if files[0] and files not in known:
            known |= {files}
            yield _certificate(File.DESTINATIONS, where, files, at_start)
    for name, values in new.bounce_profiles.items():
        if not at_start and (text := _language(values.get("report_languages", ()), folder / REPORTS)):
            place: KeyPath = ("bounce_profile", name, "report_languages")
            yield Use(File.DESTINATIONS, place, lambda text=text: _raise(text))  # type: ignore[misc]
    for name, login in new.auth_profiles.items():
        if login.password_file and not at_start and (old is None or login != old.auth_profiles.get(name)):
            yield Use(
                File.DESTINATIONS,
                ("auth_profile", name, "password_file"),
                lambda login=login: _password(login),  # type: ignore[misc]
            )


def _profiles(destinations: Destinations) -> Iterator[tuple[KeyPath, Profile]]:
    yield ("default",), destinations.default
    yield from ((("destination", name), each) for name, each in destinations.profiles.items())


def _password(login: AuthProfile) -> None:
    """:raises ConfigurationError: its password file can't be read (by the gateway, which is who asks)."""
    try:
        read_regular(Path(login.password_file), LARGEST_PASSWORD)
    except OSError as error:
        raise ConfigurationError((f"{login.password_file}: can't be read: {error.strerror or error}",)) from error


# --- certificates ---------------------------------------------------------------------------------------------------


def _certificate(file: File, where: KeyPath, files: tuple[str, str], at_start: bool) -> Use:
    """A certificate with its key ("" = in the same file)."""

    def test() -> None:
        now = datetime.datetime.now(datetime.UTC)
        certificate, key = files
        try:
            server_context(certificate, key, now, outdated=at_start)
        except ConfigurationError as error:
            part = "key" if key and error.problems[0].startswith(f"{key}:") else "certificate"
            place = where if isinstance(where[-1], int) and where[-2] == "more_certificates" else (*where, part)
            raise SettingError(
                place, f"{'; '.join(error.problems)}{_cure(Path(key if part == 'key' else certificate))}"
            ) from None

    return Use(file, where, test)


def _cure(path: Path) -> str:
    """What can be done about a file that can't be used, as far as it shows."""
    try:
        if path.exists():
            return "; seg certconfig check CERTIFICATE KEY says more"
        there = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        near = meant(path.name, there)
        return near or "; write the whole path, or one from the folder of seg.toml (seg certconfig new makes one)"
    except OSError:
        return ""
