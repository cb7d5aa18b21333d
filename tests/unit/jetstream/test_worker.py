"""The supervision of the bridge, with sessions that end as the test says."""

import asyncio

import pytest
from structlog.testing import capture_logs

from realtime import metrics
from realtime.conf import RealtimeSettings
from realtime.consumers import EnvironmentStreamConsumer
from realtime.exceptions import NatsUnavailable
from realtime.http.asgi import SERVICE, Message
from realtime.jetstream.bridge import NatsBridge
from realtime.jetstream.worker import BridgeWorker
from realtime.metrics import bridge_restarts_total
from realtime.monitoring.process_metrics import Vitals
from realtime.service import RealtimeService
from realtime.sse.hub import Hub


class ScriptedBridge(NatsBridge):
    """Each session raises the next of `endings`; after them all, one lasts."""

    def __init__(self, *endings: Exception) -> None:
        settings = RealtimeSettings(authentication_tokens=("t",))
        hub = Hub(keepalive=15, max_stream_age=0, clock=lambda: 0.0)
        agent = RealtimeService(settings).agent
        super().__init__(
            settings, hub, agent, on_ready=lambda: None, on_session=lambda: None
        )
        self._endings = list(endings)
        self.sessions: list[float] = []
        self.lasting = asyncio.Event()

    async def run(self) -> None:
        self.sessions.append(asyncio.get_running_loop().time())
        if self._endings:
            raise self._endings.pop(0)
        self.lasting.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.jetstream.worker.FIRST_DELAY", 0.02)
    monkeypatch.setattr("realtime.jetstream.worker.MAX_DELAY", 0.1)


async def run_until_lasting(bridge: ScriptedBridge) -> None:
    task = asyncio.create_task(BridgeWorker(bridge).handle())
    async with asyncio.timeout(10):
        await bridge.lasting.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def status_of_a_stream(service: RealtimeService) -> int:
    """What a client gets that asks for one and waits."""
    sent: list[Message] = []

    nothing: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        SERVICE: service,
        "url_route": {"kwargs": {"environment": "x"}},
        **{"method": "GET", "path": "/", "headers": []},
    }
    await EnvironmentStreamConsumer.as_asgi()(scope, lambda: nothing, send)
    status: int = sent[0]["status"]
    return status


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
    assert waits[0] < 0.1
    assert waits[3] > waits[0]
    assert all(wait < 0.1 * 1.5 + 0.2 for wait in waits)


@pytest.mark.parametrize("end", ["raises", "returns", "is cancelled"])
async def test_service__background_work_ends__logged_not_ready_and_terminated_once(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    # Given
    terminated: list[float] = []
    ended = asyncio.Event()

    def terminate() -> None:
        terminated.append(1)
        ended.set()

    monkeypatch.setattr("realtime.service.terminate", terminate)
    settings = RealtimeSettings(authentication_tokens=("t",), reject_delay=0)
    service = RealtimeService(settings)
    service.start()
    service.start()
    metrics.ready.set(1)
    before = metrics.rejections["failed"]._value.get()

    async def work() -> None:
        if end == "raises":
            raise ValueError("a bug")
        if end == "is cancelled":
            raise asyncio.CancelledError

    # When
    with capture_logs() as logs:
        service.keep_running("work", work())
        service.keep_running("more", work())
        async with asyncio.timeout(5):
            await ended.wait()

    # Then
    assert service.not_ready is not None
    assert service.not_ready.detail == "The background work of this instance has died."
    assert metrics.ready._value.get() == 0
    assert await status_of_a_stream(service) == 503
    assert metrics.rejections["failed"]._value.get() == before + 1
    died = [event for event in logs if event["event"] == "task.died"]
    assert [event["task"] for event in died] == ["work", "more"]
    assert {event["log_level"] for event in died} == {"critical"}
    assert len(terminated) == 1
    await service.stop()


async def test_service__stopped__nothing_died() -> None:
    # Given
    service = RealtimeService(RealtimeSettings(authentication_tokens=("t",)))
    service.start()

    # When
    with capture_logs() as logs:
        await service.stop()
        await asyncio.sleep(0)

    # Then
    assert not service.died
    assert "task.died" not in {event["event"] for event in logs}


async def test_vitals__a_metric_fails__logged_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    monkeypatch.setattr("realtime.monitoring.process_metrics.SAMPLE_SECONDS", 0)
    service = RealtimeService(RealtimeSettings(authentication_tokens=("t",)))
    looked = asyncio.Event()

    def fail() -> None:
        raise OSError("no file is left")

    monkeypatch.setattr(service.reporter, "sample", fail)
    monkeypatch.setattr(service, "note_readiness", looked.set)

    # When
    with capture_logs() as logs:
        watching = asyncio.create_task(Vitals(service).watch())
        async with asyncio.timeout(5):
            await looked.wait()

    # Then
    assert not watching.done()
    assert logs[0]["event"] == "vitals.failed"
    watching.cancel()
