"""A clock set by hand, and a memory that goes by it."""

import pytest

from realtime.fleet.timeline.event_memory import (
    EventMemory,
)
from tests.unit.fleet.timeline.made_up import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> EventMemory:
    return EventMemory(clock=clock)
