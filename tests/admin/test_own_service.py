"""Asking the fleet from a process that runs a service itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats as nats_py
import pytest
from msgspec import json
from nats.aio.msg import Msg

from realtime.conf import RealtimeSettings
from realtime.fleet import overview_survey
from realtime.fleet.environment.round_trip import send_test_update
from realtime.fleet.messages import ALIVE, REPORT, Answer, Sighting
from realtime.fleet.overview import gather
from realtime.fleet.survey import ANSWER_SECONDS, drain_instance, survey
from realtime.fleet.timeline.events import TestUpdate
from realtime.fleet.wire_types import encode
from realtime.service import RealtimeService
from tests.support.nats import NatsServer
from tests.support.waiting import eventually

START_SECONDS = 20
MADE_UP = 500
NOWHERE = RealtimeSettings(nats_servers=("nats://127.0.0.1:1",))


@asynccontextmanager
async def hosted(nats_url: str) -> AsyncIterator[RealtimeService]:
    """A service in this process that is ready."""
    service = RealtimeService(RealtimeSettings(nats_servers=(nats_url,)))
    service.start()
    async with asyncio.timeout(START_SECONDS):
        await service.await_ready()
    assert service.not_ready is None
    try:
        yield service
    finally:
        await service.stop()


async def subscriptions(service: RealtimeService, nats: NatsServer) -> int:
    """How many the only connection to `nats` has."""
    assert service.agent.client is not None
    await service.agent.client.flush()
    [connection] = await asyncio.to_thread(nats.connections)
    found: int = connection["subscriptions"]
    return found


async def test_actions__process_with_a_bridge__use_its_connection(
    nats: NatsServer, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    async with hosted(nats.url) as service:
        me = service.reporter.me().instance
        left: list[str] = []
        monkeypatch.setattr("realtime.lifecycle.terminate", lambda: left.append(me))
        before = await subscriptions(service, nats)

        # When: no other connection can be made
        async with survey(NOWHERE, service.agent) as asking:
            found = await asking.ask_one(f"{REPORT}.{me}", Answer)
        probe = await send_test_update(
            NOWHERE, environment, service.agent, service.bridge.publish
        )
        agreed = await drain_instance(NOWHERE, me, service.agent)
        after = await subscriptions(service, nats)

        # Then
        assert found is not None
        assert found.instance == me
        assert [one.subscribers for one in probe.reached] == [0]
        assert agreed
        assert left == [me]
        assert after == before


async def test_gather__process_that_hears_itself__well(nats: NatsServer) -> None:
    # Given
    async with hosted(nats.url) as service:
        # When
        report = await gather(service.settings, service.agent)

    # Then
    assert report.verdict.level == "well"
    assert len(report.instances) == 1


async def test_gather__instance_that_starts_after_the_question__not_missing(
    nats: NatsServer,
) -> None:
    # Given: a look that waits for one that is gone
    gone = Sighting(instance="sse-gone", host="gone", pid=1)
    new = Sighting(instance="sse-new", host="new", pid=2)
    async with hosted(nats.url) as service:
        client = await nats_py.connect(nats.url)
        await client.publish(ALIVE, encode(gone))

        async def start(message: Msg) -> None:
            await client.publish(ALIVE, encode(new))

        await client.subscribe(REPORT, cb=start)
        await client.flush()
        roll = service.agent.presence
        await asyncio.to_thread(eventually, lambda: roll.alive() == 2, what="both")

        # When
        report = await gather(service.settings, service.agent)
        await client.close()

    # Then
    assert roll.alive() == 3
    assert [one.instance for one in report.missing] == ["sse-gone"]


async def test_agent__many_that_are_made_up__greeted_all_at_once(
    nats: NatsServer,
) -> None:
    # Given
    async with hosted(nats.url) as service:
        client = await nats_py.connect(nats.url)
        names: list[str] = []

        async def note(message: Msg) -> None:
            names.append(json.decode(message.data)["instance"])

        await client.subscribe(ALIVE, cb=note)

        # When
        for number in range(MADE_UP):
            made_up = Sighting(instance=f"sse-{number}", host="nowhere", pid=1)
            await client.publish(ALIVE, encode(made_up))
        await client.flush()
        roll = service.agent.presence
        await asyncio.to_thread(
            eventually, lambda: roll.alive() == MADE_UP + 1, what="them to be known"
        )
        assert service.agent.client is not None
        await service.agent.client.flush()
        await client.flush()
        await client.close()

    # Then: its beacons apart
    assert names.count(service.instance) < MADE_UP / 10


async def test_gather__answer_larger_than_nats_takes__connection_is_not_lost(
    tmp_path: Path,
) -> None:
    # Given: updates are small, and somebody has allowed for no more
    config = tmp_path / "nats.conf"
    config.write_text("max_payload: 1024")
    nats = NatsServer(tmp_path / "nats", arguments=["-c", str(config)])
    nats.start()
    async with hosted(nats.url) as service:
        client = service.agent.client
        for number in range(3):
            told = TestUpdate(
                seen_by="x", at=time.time(), environment=f"{number}", outcome="x" * 500
            )
            service.agent.remember(encode(told))

        # When
        await gather(service.settings, service.agent)
        assert client is not None
        await client.flush()

        # Then: no update waits because somebody has looked
        assert service.agent.client is client
        assert service.not_ready is None
    nats.stop()


async def test_gather__fleet_s_subjects_forbidden__degraded_and_said_why(
    url_without_fleet: str,
) -> None:
    # Given
    async with hosted(url_without_fleet) as service:
        # When
        report = await gather(service.settings, service.agent)

    # Then
    assert report.verdict.level == "degraded"
    assert report.verdict.reasons == (
        "No instance answers, not even this one: may NATS's user use "
        "flagsmith.fleet.>?",
    )
    assert len(report.instances) == 1


async def test_gather__time_is_up_while_others_are_waited_for__answers_are_kept(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: one that is alive for all anybody knows, and does not answer
    monkeypatch.setattr(overview_survey, "LOOK_SECONDS", ANSWER_SECONDS / 2)
    settings = RealtimeSettings(nats_servers=(nats.url,))
    async with hosted(nats.url):
        client = await nats_py.connect(nats.url)
        silent = Sighting(instance="sse-silent", host="silent", pid=1)
        await client.publish(ALIVE, encode(silent))
        await client.flush()
        await client.close()

        # When: a process without a service of its own
        report = await gather(settings)

    # Then
    assert len(report.instances) == 1
