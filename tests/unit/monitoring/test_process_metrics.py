"""The watch over this process."""

import asyncio

import pytest
from structlog.testing import capture_logs

from realtime.monitoring.process_metrics import watch_process


async def test_watch_process__a_metric_fails__logged_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    monkeypatch.setattr("realtime.monitoring.process_metrics.SAMPLE_SECONDS", 0)
    looked = asyncio.Event()

    def fail() -> None:
        raise OSError("no file is left")

    # When
    with capture_logs() as logs:
        watching = asyncio.create_task(
            watch_process(fail, looked.set, oldest_waiting=lambda: None)
        )
        async with asyncio.timeout(5):
            await looked.wait()

    # Then
    assert not watching.done()
    assert logs[0]["event"] == "vitals.failed"
    watching.cancel()
