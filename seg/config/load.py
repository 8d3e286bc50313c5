"""Files to values: the two functions that the gateway starts with.

Every fault is found before anything is bound or changed, and each is one line that names file, line and key
(`ConfigurationError.problems`).
"""

from __future__ import annotations

from pathlib import Path

from seg.config.destinations import Destinations
from seg.config.destinations_file import destinations_from
from seg.config.relative import whole_destinations, whole_settings
from seg.config.schema import Settings
from seg.config.settings_file import settings_from
from seg.config.source import parse_document, read_document


def load_settings(path: Path) -> Settings:
    """The settings in a file like ``etc/seg.toml``, with whole paths.

    :raises ConfigurationError: the file can't be read, or has faults.
    """
    return whole_settings(settings_from(read_document(Path(path))), Path(path))


def load_destinations(path: Path) -> Destinations:
    """The profiles and routes in a file like ``etc/destinations.toml``, with whole paths.

    :raises ConfigurationError: the file can't be read, or has faults.
    """
    return whole_destinations(destinations_from(read_document(Path(path))), Path(path))


def parse_settings(text: str, name: str = "seg.toml") -> Settings:
    """The settings in a text (a staged change), paths as they stand; `name` stands for the file in messages.

    :raises ConfigurationError: the text has faults.
    """
    return settings_from(parse_document(text, name))


def parse_destinations(text: str, name: str = "destinations.toml") -> Destinations:
    """The profiles and routes in a text (a staged change), paths as they stand; `name` stands for the file in messages.

    :raises ConfigurationError: the text has faults.
    """
    return destinations_from(parse_document(text, name))
