"""The ids of messages and connections."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IMessageIds(Interface):
    """The ids of the mail log: monotonic, and unique over restarts."""

    unreserved = Attribute("bool: the last MID given might be given again after a crash: take no new mail")

    def reserve() -> None:
        """Try to make sure now that no id is given twice. Blocks a little."""

    def next_mid() -> int:
        """A new message id."""

    def next_icid() -> int:
        """A new injection connection id."""

    def next_dcid() -> int:
        """A new delivery connection id."""
