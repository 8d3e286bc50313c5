"""The former home of the interfaces for checkers, kept for one release: import them from `seg.plugin`."""

from __future__ import annotations

import warnings

from seg.auth.interfaces import *  # noqa: F403  whatever checkers have imported from here

warnings.warn(
    "seg.auth.seams is now seg.plugin; this name goes with the next release", DeprecationWarning, stacklevel=2
)
