"""The busiest environments of real instances, and who sees their keys."""

import asyncio
import json
from contextlib import AsyncExitStack

from django.contrib.auth.models import User
from django.test import Client
from nats import connect
from nats.aio.msg import Msg

from realtime.conf import RealtimeSettings
from realtime.fleet.environment.busiest import COUNTS
from realtime.fleet.fleet_report import as_json
from realtime.fleet.key_shortening import shortened
from realtime.fleet.messages import Busy
from realtime.fleet.overview import gather
from realtime.fleet.reporter import BUSIEST
from tests.admin.fleet import Fleet
from tests.support.nats import NatsServer
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.streams import Stream

FLEET = "/admin/realtime/fleet/"
KEY = "AbCdEfGhIjKlMnOpQr0123"
OTHERS = BUSIEST
"""Environments that are busier on one instance than the one that counts."""


async def test_gather__more_environments_than_an_instance_names__sums_are_right(
    fleet: Fleet, environment: str
) -> None:
    """One stream on Daphne, where more than it names have two; three elsewhere."""
    # Given
    async with AsyncExitStack() as stack:

        async def subscribe(url: str) -> None:
            stream = await stack.enter_async_context(Stream(url))
            await stream.next_block()

        for number in range(OTHERS + 1):
            for _ in range(2):
                await subscribe(fleet.daphne.stream_url(f"{environment}-{number}"))
        await subscribe(fleet.daphne.stream_url(environment))
        for _ in range(3):
            await subscribe(fleet.workers.stream_url(environment))

        # When: for a quarter of a second each may answer as it did before
        report = await gather(fleet.settings)
        async with asyncio.timeout(10):
            while report.totals.subscribers < 2 * (OTHERS + 1) + 4:
                report = await gather(fleet.settings)

    # Then: four, although Daphne does not name it
    first, *others = report.busiest
    assert first.environment == shortened(environment)
    assert (first.subscribers, first.at_least) == (4, False)
    assert {one.subscribers for one in others} == {2}
    [daphne] = [one for one in report.instances if one.worker is None]
    assert daphne.environments == OTHERS + 2
    assert daphne.unnamed == 2
    assert report.unnamed == 2
    # and no key has left NATS
    assert environment not in as_json(report).decode()


async def test_gather__senseless_counts__not_taken(nats: NatsServer) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    liar = await connect(nats.url)
    asked: list[object] = []

    async def lie(message: Msg) -> None:
        asked.append(json.loads(message.data))
        for answer in (
            b"\xff",
            b'{"instance":"sse-simulated-0-abcdef","counts":[1,2,3]}',
            b'{"instance":"sse-simulated-0-abcdef","counts":[-1]}',
            b'{"instance":"sse-elsewhere","counts":[1000]}',
        ):
            await message.respond(answer)

    await liar.subscribe(COUNTS, cb=lie)
    await liar.flush()
    reports = [
        made_up(n, busiest=(Busy(shortened(KEY), 5, key=KEY),), unnamed=5)
        for n in (0, 1)
    ]
    with simulated_fleet(settings, *reports):
        # When
        report = await gather(settings)
    await liar.close()

    # Then
    assert asked == [[KEY]]
    assert [one.subscribers for one in report.busiest] == [10]


def test_overview__made_up_instance__shows_no_whole_key_to_anybody(
    users: dict[str, User],
    operator: Client,
    nats: NatsServer,
    nats_settings: RealtimeSettings,
) -> None:
    # Given
    viewer = Client()
    viewer.force_login(users["viewer"])
    report = made_up(busiest=(Busy(shortened(KEY), 5, key=KEY),), unnamed=0)
    pages = ["", "live/", "report.json", "log/", "playground/", "environment/"]

    # When
    with simulated_fleet(nats_settings, report):
        operated = operator.get(FLEET).content.decode()
        seen = [viewer.get(FLEET + page).content.decode() for page in pages]
    # and the last figures, where NATS is lost
    nats.kill()
    seen += [viewer.get(FLEET + page).content.decode() for page in pages]

    # Then
    assert shortened(KEY) in seen[0]
    assert shortened(KEY) in seen[len(pages)]
    assert all(KEY not in page for page in (operated, *seen))
