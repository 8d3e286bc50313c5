"""What any part may raise: the configuration can't be used."""

from __future__ import annotations


class ConfigurationError(Exception):
    """The configuration can't be used; `problems` holds one complete line for each fault.

    Nothing was bound or changed: show the lines and stop.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
