"""Whether a server that offers CHUNKING knows BDAT (RFC 3030). Pure.

A proxy may pass the offer on without knowing the command: then the server takes for commands what comes behind the line. So the first chunk that
a server ever gets is one octet of the content: no line, so no command. The rest follows its 250. (``BDAT 0`` would not do: Postfix and Exim
refuse it.) Without that octet at hand, content goes by DATA.
"""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class BdatTrial:
    """What is known of one server, and how far it is with the content of this transaction."""

    known: bool | None = None  # it knows BDAT, or doesn't; None: it hasn't been tried
    learnt: bool = False  # `known` was found on this connection
    first: bytes = b""  # octet of the content to come; b"": not at hand
    under_way: bool = False  # that octet is out alone, and not answered
    begun: int = 0  # octets of the content that the server has already when the rest is wanted

    @property
    def possible(self) -> bool:
        """Whether the next content may go by BDAT."""
        return self.known is True or (self.known is None and bool(self.first))

    def learn(self, known: bool) -> None:
        """Note what the server's answer to a chunk has shown."""
        self.known, self.learnt = known, True

    def octet_taken(self) -> None:
        """Note that the server knows BDAT, and has the first octet."""
        self.learn(True)
        self.begun = 1
