"""What whoever has a token may do with the admin API."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """What a token allows; each allows what those before it do."""

    WATCH = "watch"  # figures, nothing of any message or of the configuration
    LOOK = "look"  # what changes nothing
    ACT = "act"  # everything

    def may(self, needed: Role) -> bool:
        """Whether it allows what needs such a role."""
        ranks = [*Role]
        return ranks.index(self) >= ranks.index(needed)
