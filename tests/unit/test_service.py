"""The life of a process: what becomes of it when its work in the background ends."""

import asyncio

import pytest
from structlog.testing import capture_logs

from realtime import metrics
from realtime.conf import RealtimeSettings
from realtime.consumers import EnvironmentStreamConsumer
from realtime.http.asgi import Message
from realtime.service import RealtimeService


async def status_of_a_stream(service: RealtimeService) -> int:
    """What a client gets that asks for one and waits."""
    sent: list[Message] = []

    nothing: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "url_route": {"kwargs": {"environment": "x"}},
        **{"method": "GET", "path": "/", "headers": []},
    }
    consumer = EnvironmentStreamConsumer.as_asgi(service=service)
    await consumer(scope, lambda: nothing, send)
    status: int = sent[0]["status"]
    return status


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

    monkeypatch.setattr("realtime.background.terminate", terminate)
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
    assert not service.lifecycle.died
    assert "task.died" not in {event["event"] for event in logs}
