"""The former home of the interfaces for plugins, kept for one release: import them from `seg.plugin`."""

from __future__ import annotations

import warnings

from seg.plugin import *  # noqa: F403  whatever plugins have imported from here

warnings.warn(
    "seg.interfaces is now seg.plugin; this name goes with the next release", DeprecationWarning, stacklevel=2
)
