"""A hub whose time passes when the test says so."""

import pytest

from realtime.sse.hub import Hub
from tests.unit.sse.recording import Clock, turns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Hub:
    turns.clear()
    return Hub(keepalive=15, max_stream_age=0, clock=clock, call_soon=turns.append)
