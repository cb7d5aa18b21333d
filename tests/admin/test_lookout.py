"""A process that shows the page looks although nobody asks."""

import asyncio
import time

from realtime.conf import RealtimeSettings
from realtime.fleet.overview import gather
from realtime.fleet.overview_watch import FIRST_SECONDS
from realtime.service import RealtimeService
from tests.support.nats import NatsServer
from tests.support.waiting import eventually_async


async def test_gather__nats_lost_before_anybody_looked__last_figures_and_since_when(
    nats: NatsServer,
) -> None:
    # Given
    service = RealtimeService(RealtimeSettings(nats_servers=(nats.url,)))
    service.watches_fleet = True
    service.start()
    try:
        # When
        await eventually_async(
            lambda: service.agent.overview_memory.age < FIRST_SECONDS,
            seconds=20,
            what="a look",
        )
        lost = time.time()
        await asyncio.to_thread(nats.kill)
        await eventually_async(lambda: service.not_ready is not None, what="the loss")
        report = await gather(service.settings, service.agent)

        # Then
        assert report.nats_error is not None
        assert report.last_known is not None
        assert report.last_known.at <= lost
        [known] = report.last_known.instances
        assert known.not_ready is None
        assert report.verdict.level == "down"
        assert report.verdict.since is not None
        assert lost - 1 <= report.verdict.since <= report.at

        # When
        await asyncio.to_thread(nats.start)
        await eventually_async(lambda: service.not_ready is None, what="NATS back")
        back = await gather(service.settings, service.agent)

        # Then
        assert back.verdict.level == "well"
        assert back.verdict.since is None
        assert back.last_known is None
    finally:
        await service.stop()


async def test_service__without_the_admin__does_not_look(nats: NatsServer) -> None:
    # Given: as where only streams are served
    service = RealtimeService(RealtimeSettings(nats_servers=(nats.url,)))

    # When
    service.start()
    try:
        names = {task.get_name() for task in asyncio.all_tasks()}
    finally:
        await service.stop()

    # Then
    assert "vitals" in names
    assert "lookout" not in names
