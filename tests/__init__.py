"""Tests of seg, run by trial."""

from hypothesis import HealthCheck, settings

# A slow machine is no fault of what is tested.
settings.register_profile("seg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seg")
