"""The certificates that we show to other servers, by their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seg.tls.context import ClientIdentity
from seg.tls.parameters import OUTBOUND, Parameters

Files = tuple[str, str]  # certificate, key ("" = in the certificate file)


class ClientIdentities:
    """Those in force. Files are read before they are (`prepared`), in the start or in a thread."""

    def __init__(self, known: Mapping[Files, ClientIdentity] | None = None) -> None:
        self.known = dict(known or {})

    def get(self, files: Files) -> ClientIdentity | None:
        """The one of these files; None for files that nothing in force names, such as ("", "")."""
        return self.known.get(files)

    def prepared(
        self, wanted: Iterable[Files], parameters: Parameters = OUTBOUND, outdated: bool = False
    ) -> dict[Files, ClientIdentity]:
        """All that are wanted; files that aren't known, or not with these parameters, are read, which blocks.

        :param outdated: whether certificates whose dates are wrong are taken.
        :raises ConfigurationError: one can't be used.
        """

        def one(files: Files) -> ClientIdentity:
            known = self.known.get(files)
            same = known is not None and known.parameters == parameters
            return known if known is not None and same else ClientIdentity(*files, parameters, outdated)

        return {files: one(files) for files in wanted}

    def replace(self, prepared: Mapping[Files, ClientIdentity]) -> None:
        """Have these in force, and no others."""
        self.known = dict(prepared)

    def renewable(self) -> dict[str, ClientIdentity]:
        """Each with a name for the log."""
        return {f"certificate {files[0]}": identity for files, identity in self.known.items()}
