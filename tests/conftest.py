"""Settings for the whole suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Deadlines and slow-draw checks measure the machine, not the code; fixed draws keep CI repeatable.
settings.register_profile(
    "mlcoop", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mlcoop")
