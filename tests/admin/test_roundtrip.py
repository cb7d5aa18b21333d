"""A test update is answered by what the instances say of its environment."""

import asyncio
import json
from pathlib import Path

import nats as nats_py
from nats.aio.msg import Msg

from realtime.conf import RealtimeSettings
from realtime.fleet.environment.messages import (
    ENVIRONMENT,
    EnvironmentAnswer,
    SeenUpdate,
)
from realtime.fleet.environment.round_trip import DELIVER_SECONDS, send_test_update
from realtime.fleet.messages import InstanceReport
from tests.admin.fleet import Fleet
from tests.support.crowd import crowd
from tests.support.nats import NatsServer
from tests.support.service import running_service
from tests.support.simulated_fleet import made_up, simulated_fleet

STREAMS = 40
LATER = 3
"""Answers until an instance that is slow has told everybody."""


async def test_test_update__three_instances__each_says_whom_it_told(
    shared_fleet: Fleet, environment: str
) -> None:
    # Given
    async with crowd(shared_fleet.workers, environment, STREAMS):
        # When
        probe = await send_test_update(shared_fleet.settings, environment)

    # Then
    assert probe.instances == 3
    assert len(probe.reached) == 3
    assert probe.silent == ()
    assert probe.subscribers == STREAMS
    assert 0 <= probe.seconds < DELIVER_SECONDS
    [lone] = [
        one
        for one in probe.reached
        if f"({shared_fleet.daphne.process.pid})" in one.name
    ]
    assert lone.subscribers == 0


async def test_test_update__instance_that_still_tells__waited_for(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: besides a real one, one that is slow, and one that never reads it
    settings = RealtimeSettings(nats_servers=(nats.url,))
    published: list[float] = []
    asked: list[None] = []

    async def read(message: Msg) -> None:
        published.append(json.loads(message.data)["updated_at"])

    def answer(report: InstanceReport, payload: bytes) -> EnvironmentAnswer:
        assert payload == environment.encode()
        updates: tuple[SeenUpdate, ...] = ()
        if published and report.pid == slow.pid:
            asked.append(None)
            told = len(asked) >= LATER
            update = SeenUpdate(
                updated_at=f"{published[0]:.6f}",
                sequence=1,
                stored_at=1,
                read=0.5,
                written=0.25 if told else None,
                subscribers=5000 if told else 0,
            )
            updates = (update,)
        return EnvironmentAnswer(
            sighting=report.sighting, alive=3, clients={}, updates=updates
        )

    slow, deaf = made_up(1), made_up(2)
    client = await nats_py.connect(nats.url)
    await client.subscribe("flagsmith.environment.>", cb=read)
    await client.flush()
    with (
        running_service("serve", nats.url, tmp_path) as service,
        simulated_fleet(settings, slow, deaf, others=1, answers={ENVIRONMENT: answer}),
    ):
        await asyncio.to_thread(service.await_ready)

        # When
        probe = await send_test_update(settings, environment)
    await client.close()

    # Then
    assert len(asked) >= LATER
    assert probe.instances == 3
    assert probe.silent == (deaf.name,)
    subscribers = {one.name: one.subscribers for one in probe.reached}
    assert len(subscribers) == 2
    assert subscribers[slow.name] == 5000
