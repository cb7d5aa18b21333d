"""Since when NATS is away, as a process knows it."""

import asyncio
import signal
import time

import pytest

from realtime.exceptions import NatsUnavailable
from realtime.updates import Update
from tests.admin.test_own_service import hosted
from tests.support.nats import NatsServer
from tests.support.waiting import eventually_async


async def test_outage__connection_lost_with_a_publish_under_way__begins_now(
    nats: NatsServer, environment: str
) -> None:
    # Given: nothing has told for a while that the stream takes updates
    async with hosted(nats.url) as service:
        outage = service.bridge.outage
        outage._worked_at = time.monotonic() - 60
        nats.signal(signal.SIGSTOP)
        deadline = asyncio.get_running_loop().time() + 30
        publish = asyncio.create_task(
            service.bridge.publish(Update(environment, "1.5"), deadline)
        )
        await asyncio.sleep(0)  # one turn: the publish is sent

        # When
        nats.kill()
        with pytest.raises(NatsUnavailable):
            await publish

        # Then
        await eventually_async(lambda: outage.since is not None)
        assert outage.since is not None
        assert time.monotonic() - outage.since < 30
        nats.start()
