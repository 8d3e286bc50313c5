"""The filters of the ``[[filter]]`` tables, put together: milters, and those of plugins."""

from __future__ import annotations

from seg.config.schema import Settings
from seg.events.runtime import Runtime
from seg.filter.chain import ConfiguredFilter
from seg.filter.milter.client import milter
from seg.filter.plugins import load_filters


def build_filters(runtime: Runtime, settings: Settings) -> tuple[ConfiguredFilter, ...]:
    """A filter for each table, in order; none of them connects yet.

    :raises ConfigurationError: there is no filter of a kind, or it can't be made.
    """
    return load_filters(settings.filter, milter, runtime.hostname, runtime.sink, runtime.reactor)
