"""Settings of the property tests, and metrics that no other test has moved."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from prometheus_client import Gauge

from realtime import metrics

# The servers of other tests may keep the machine busy: how long one example takes says
# nothing.
settings.register_profile("flagsmith_sse", deadline=None)
settings.load_profile("flagsmith_sse")


def gauges() -> Iterator[Gauge]:
    """Every series of the app's gauges: they are this process's, and stay as they were
    set. Counters only grow: a test compares them with what they were before."""
    for found in vars(metrics).values():
        for metric in found.values() if isinstance(found, dict) else [found]:
            # The parent of labelled series has no value of its own.
            if isinstance(metric, Gauge) and hasattr(metric, "_value"):
                yield metric


@pytest.fixture(autouse=True)
def gauges_at_zero() -> None:
    for gauge in gauges():
        gauge.set(0)
