"""PEM files, read by path."""

from __future__ import annotations

from pathlib import Path

from seg.common.errors import ConfigurationError
from seg.common.files import read_regular

LARGEST_PEM = 16 * 1024 * 1024  # octets; the systems' lists of roots have about 250,000


def read_pem(path: str, what: str = "") -> bytes:
    """A PEM file, which has to be a regular one. Blocks, but never waits for a pipe or a device.

    :param what: what it is, for the error ("list of trusted roots").
    :raises ConfigurationError: it can't be read.
    """
    about = f"{path}: {what} can't be read" if what else f"{path}: can't be read"
    try:
        return read_regular(Path(path), LARGEST_PEM)
    except OSError as error:
        raise ConfigurationError((f"{about}: {error.strerror or error}",)) from error
    except ValueError as error:  # also of a NUL in the path
        raise ConfigurationError((f"{about}: {error}",)) from error
