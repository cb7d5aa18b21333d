"""The supervision of the bridge, with sessions that end as the test says."""

import asyncio

import pytest
from structlog.testing import capture_logs

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.bridge import NatsBridge
from realtime.metrics import bridge_restarts_total
from realtime.sse.hub import Hub


class ScriptedBridge(NatsBridge):
    """Each session raises the next of `endings`; after them all, one lasts."""

    def __init__(self, *endings: Exception) -> None:
        settings = RealtimeSettings(authentication_tokens=("t",))
        hub = Hub(keepalive=15, max_stream_age=0, clock=lambda: 0.0)
        super().__init__(settings, hub)
        self._endings = list(endings)
        self.sessions: list[float] = []
        self.lasting = asyncio.Event()

    async def run_session(self) -> None:
        self.sessions.append(asyncio.get_running_loop().time())
        if self._endings:
            raise self._endings.pop(0)
        self.lasting.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.jetstream.bridge.FIRST_DELAY", 0.02)
    monkeypatch.setattr("realtime.jetstream.bridge.MAX_DELAY", 0.1)


async def run_until_lasting(bridge: ScriptedBridge) -> None:
    task = asyncio.create_task(bridge.handle())
    async with asyncio.timeout(10):
        await bridge.lasting.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_handle__unexpected_exception__logged_counted_and_restarted() -> None:
    # Given
    bridge = ScriptedBridge(ValueError("a bug"), KeyError("another"))
    before = bridge_restarts_total._value.get()

    # When
    with capture_logs() as logs:
        await run_until_lasting(bridge)

    # Then
    assert len(bridge.sessions) == 3
    assert bridge_restarts_total._value.get() == before + 2
    assert [(e["event"], e["log_level"]) for e in logs] == [
        ("bridge.failed", "error"),
        ("bridge.failed", "error"),
    ]


async def test_handle__nats_unavailable__logged_as_a_warning_and_tried_again() -> None:
    # Given
    bridge = ScriptedBridge(NatsUnavailable("no NATS"))
    before = bridge_restarts_total._value.get()

    # When
    with capture_logs() as logs:
        await run_until_lasting(bridge)

    # Then
    assert bridge_restarts_total._value.get() == before
    assert logs == [
        {"event": "bridge.interrupted", "reason": "no NATS", "log_level": "warning"}
    ]


async def test_handle__one_failure_after_another__waits_longer() -> None:
    # Given
    bridge = ScriptedBridge(*(NatsUnavailable("no NATS") for _ in range(6)))

    # When
    await run_until_lasting(bridge)

    # Then: doubled with a jitter of a half, so over two steps it always grows
    waits = [b - a for a, b in zip(bridge.sessions, bridge.sessions[1:], strict=False)]
    assert waits[0] < 0.2
    assert waits[3] > waits[0]
    assert all(wait < 0.1 * 1.5 + 0.2 for wait in waits)
