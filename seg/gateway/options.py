"""The command line of ``twistd seg``: the configuration is read and checked before anything is bound."""

from __future__ import annotations

import sys
from typing import ClassVar

from twisted.python import usage

from seg.admin.configuration.texts import Configuration, ConfigurationTexts, check, read_texts
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles, find_configuration


class Options(usage.Options):
    """Command line of ``twistd seg``."""

    synopsis = "[--config FILE]"
    longdesc = (
        "Mail gateway that sends mail only where its TLS policy allows. Without --config the configuration is etc/seg.toml, "
        "else /etc/seg/seg.toml, else the defaults built in: listen at 127.0.0.1:2525, relay for this machine only."
    )
    optParameters: ClassVar[list[list[object]]] = [
        ["config", "c", None, "seg.toml to use; destinations.toml stands beside it"],
    ]

    files: ConfigurationFiles
    texts: ConfigurationTexts
    configuration: Configuration

    def postOptions(self) -> None:
        """Read and check the configuration: a fault ends the program before anything is bound or changed."""
        try:
            self.files = find_configuration(self["config"])
            if self.files.notice:
                print(f"seg: {self.files.notice}", file=sys.stderr)
            self.texts = read_texts(self.files)
            self.configuration = check(self.texts, self.files, at_start=True)
        except ConfigurationError as error:
            raise not_started(error) from None


def not_started(error: ConfigurationError) -> SystemExit:
    """The end of a start that can't be: raise it. What is wrong is told already."""
    for problem in error.problems:
        print(problem, file=sys.stderr)
    print("seg: not started", file=sys.stderr)
    return SystemExit(1)
