"""A relative path means the same whatever folder a program is started in."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.config.find import find_configuration, shipped_folder
from seg.config.load import load_destinations, load_settings
from seg.config.paths import socket_path, tokens_path, users_path, var_path

SETTINGS = """
[[listener]]
tls = "starttls"
certificate = "certificates/mx.pem"
key = "mx.key"
more_certificates = ["a.pem", "/b.pem"]
client_certificates = "clients.pem"
[tls]
ca_file = "roots.pem"
[auth]
users = "u"
[control]
tokens = "t"
"""
DESTINATIONS = """
[default]
certificate = "mx.pem"
[destination."a.example"]
certificate = "/a.pem"
[auth_profile.isp]
username = "a"
password_file = "secret"
"""


class RelativeTests(SynchronousTestCase):
    """`seg.config.relative`."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        for name in ("etc", "seg", "elsewhere"):
            (self.root / name).mkdir(parents=True)
            (self.root / name / "seg.toml").write_text(SETTINGS)
            (self.root / name / "destinations.toml").write_text(DESTINATIONS)
        self.addCleanup(os.chdir, Path().absolute())

    def test_everywhere(self) -> None:
        """From each folder, and by each way to name the file, the same paths: files beside seg.toml, var beside etc."""
        for name, base in (("etc", self.root), ("seg", self.root / "seg")):
            folder, seen = self.root / name, set()
            for here, named in (
                (self.root, f"{name}/seg.toml"),
                (self.root, str(folder / "seg.toml")),
                (self.root / "elsewhere", f"../{name}/seg.toml"),
                (Path("/"), str(folder)),
            ):
                os.chdir(here)
                files = find_configuration(named)
                settings = load_settings(files.settings)
                profiles = load_destinations(files.destinations)
                listener = settings.listener[0]
                paths = (
                    *(listener.certificate, listener.key, *listener.more_certificates, listener.client_certificates),
                    *(
                        settings.tls.ca_file,
                        users_path(settings, files.settings),
                        tokens_path(settings, files.settings),
                    ),
                    *(profiles.default.certificate, profiles.profiles["a.example"].certificate),
                    *(profiles.auth_profiles["isp"].password_file, var_path(settings), socket_path(settings)),
                )
                seen.add(tuple(os.path.normpath(path) for path in paths))
            files_there = ["certificates/mx.pem", "mx.key", "a.pem", "/b.pem", "clients.pem", "roots.pem", "u", "t"]
            files_there += ["mx.pem", "/a.pem", "secret"]
            wanted = [str(folder / path) for path in files_there] + [str(base / "var"), str(base / "var/run/seg.sock")]
            self.assertEqual(seen, {tuple(wanted)})

    def test_built_in(self) -> None:
        """The configuration built in keeps its var in the working directory, for want of another place."""
        os.chdir(self.root)
        settings = load_settings(shipped_folder() / "seg.toml")
        self.assertEqual(settings.gateway.var, str(self.root / "var"))
