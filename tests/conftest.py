"""Settings for the whole suite."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Before numpy is there: the suite's own processes take the cores, and threads would wait for them.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

# Deadlines and slow-draw checks measure the machine, not the code; fixed draws keep CI repeatable.
settings.register_profile(
    "mlcoop", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mlcoop")
