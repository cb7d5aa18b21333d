"""The busiest environments of real instances, and who sees their keys."""

import json
from contextlib import AsyncExitStack

from django.contrib.auth.models import User
from django.test import Client
from nats import connect
from nats.aio.msg import Msg

from realtime.conf import RealtimeSettings
from realtime.fleet.busiest import COUNTS
from realtime.fleet.messages import Busy, LatestUpdate, shortened
from realtime.fleet.overview import gather
from tests.admin.fleet import Fleet
from tests.support.nats import NatsServer
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.streams import Stream

FLEET = "/admin/realtime/fleet/"
KEY = "AbCdEfGhIjKlMnOpQr0123"
OTHERS = 10
"""Environments that are busier on one instance than the one that counts."""


async def test_gather__more_environments_than_an_instance_names__sums_are_right(
    fleet: Fleet, environment: str
) -> None:
    """One stream on Daphne, where eleven others have two; three elsewhere."""
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

        # When
        report = await gather(fleet.settings, whole_keys=True)
        viewed = await gather(fleet.settings)

    # Then: four, although Daphne does not name it
    first, *others = report.busiest
    assert (first.key, first.subscribers, first.at_least) == (environment, 4, False)
    assert {one.subscribers for one in others} == {2}
    [daphne] = [one for one in report.instances if one.worker is None]
    assert daphne.environments == OTHERS + 2
    assert daphne.unnamed == 2
    assert report.unnamed == 2
    # and nobody gets whole keys who did not ask for them
    assert [one.subscribers for one in viewed.busiest] == [
        one.subscribers for one in report.busiest
    ]
    assert all(one.key is None for one in viewed.busiest)
    for one in (*report.instances, *viewed.instances):
        assert all(named.key is None for named in one.busiest)


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
        made_up(n, busiest=(Busy(shortened(KEY), 5, KEY),), unnamed=5) for n in (0, 1)
    ]
    with simulated_fleet(settings, *reports):
        # When
        report = await gather(settings)
    await liar.close()

    # Then
    assert asked == [[KEY]]
    assert [one.subscribers for one in report.busiest] == [10]


def test_overview__viewer__sees_no_whole_key_and_operator_gets_links(
    users: dict[str, User], operator: Client, nats_settings: RealtimeSettings
) -> None:
    # Given
    viewer = Client()
    viewer.force_login(users["viewer"])
    report = made_up(
        busiest=(Busy(shortened(KEY), 5, KEY),),
        latest=(LatestUpdate(shortened(KEY), "1", 7, 1e9, KEY),),
        unnamed=0,
    )
    pages = ["", "live/", "report.json", "log/", "playground/", "environment/"]

    # When: the operator first, so that whatever is remembered is remembered
    with simulated_fleet(nats_settings, report):
        operated = operator.get(FLEET).content.decode()
        seen = [viewer.get(FLEET + page).content.decode() for page in pages]

    # Then
    link = f'<a href="{FLEET}environment/?key={KEY}">{shortened(KEY)}</a>'
    assert operated.count(link) == 2
    assert shortened(KEY) in seen[0]
    assert all(KEY not in page for page in seen)


def test_overview__viewer_after_nats_was_lost__sees_no_whole_key(
    users: dict[str, User],
    operator: Client,
    nats: NatsServer,
    nats_settings: RealtimeSettings,
) -> None:
    # Given
    viewer = Client()
    viewer.force_login(users["viewer"])
    report = made_up(busiest=(Busy(shortened(KEY), 5, KEY),), unnamed=0)
    with simulated_fleet(nats_settings, report):
        operator.get(FLEET)

    # When
    nats.kill()
    seen = [viewer.get(FLEET + page).content.decode() for page in ("", "report.json")]

    # Then: the last figures
    assert all(shortened(KEY) in page or "\\u2026" in page for page in seen)
    assert all(KEY not in page for page in seen)
