"""One environment on all instances: asked over NATS, shown in the page and in the
terminal, without anybody being told to refetch."""

import asyncio
import json

import nats as nats_py
import pytest
from django.contrib.auth.models import User
from django.test import Client
from nats.aio.msg import Msg

from realtime.conf import RealtimeSettings
from realtime.fleet.environment.messages import (
    ENVIRONMENT,
    EnvironmentAnswer,
    SeenUpdate,
    StoredUpdate,
)
from realtime.fleet.environment.report import (
    NOBODY,
    EnvironmentReport,
    survey_environment,
)
from realtime.fleet.messages import Sighting
from realtime.fleet.wire_types import encode
from realtime.updates import Update
from tests.admin.fleet import Fleet
from tests.admin.test_own_service import hosted
from tests.integration.test_commands import manage
from tests.support.nats import NatsServer
from tests.support.service import TOKEN
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.streams import Stream, event
from tests.support.waiting import eventually_async

PAGE = "/admin/realtime/fleet/environment/"


def told(**fields: object) -> EnvironmentAnswer:
    """An answer of an instance that is made up; `fields` say what is different."""
    sighting = Sighting(instance="sse-made-up", host="made-up", pid=1)
    return EnvironmentAnswer(
        **{"sighting": sighting, "alive": 1, "clients": {}, **fields}  # type: ignore[arg-type]
    )


async def told_by_all(fleet: Fleet, environment: str) -> EnvironmentReport:
    """The report as soon as all three instances have read and told the update."""
    async with asyncio.timeout(10):
        while True:
            report = await survey_environment(fleet.settings, environment)
            if report.updates and report.updates[0].writers == 3:
                return report


async def test_survey__streams_on_two_servers__told_of_each(
    fleet: Fleet, environment: str
) -> None:
    # Given: three streams, then an update, then one more stream
    url = fleet.daphne.stream_url(environment)
    go = {"User-Agent": "Go-http-client/2.0"}
    async with (
        Stream(url, headers=go) as first,
        Stream(url, headers=go),
        Stream(
            fleet.workers.stream_url(environment), headers={"User-Agent": "okhttp/4.12"}
        ),
    ):
        await first.next_block()
        await asyncio.to_thread(fleet.daphne.publish, environment, 1.5)
        assert await first.next_event() == event("1.5")
        async with Stream(url) as late:
            assert await late.next_event() == event("1.5")

            # When
            report = await told_by_all(fleet, environment)

            # Then
            assert report.nats_error is None
            assert report.missing == ()
            assert report.unknown is None
            assert report.subscribers == report.visited == 4
            assert report.lagging == 0
            assert [(one.kind, one.subscribers) for one in report.clients] == [
                ("go", 2),
                ("android", 1),
                ("none", 1),
            ]
            assert report.oldest is not None
            assert report.newest is not None
            assert 0 <= report.newest < report.oldest < 60
            [daphne] = [i for i in report.instances if i.sighting.worker is None]
            assert daphne.subscribers == 3
            assert daphne.told is not None
            # and not 3: the last came after it
            assert daphne.told.subscribers == 2
            assert report.latest is not None
            assert (report.latest.updated_at, report.latest.sequence) == ("1.5", 1)
            [update] = report.updates
            assert (update.readers, update.writers, update.subscribers) == (3, 3, 3)
            assert not report.held

            # and nobody was told anything because somebody asked
            sent = [await asyncio.to_thread(s.metrics) for s in fleet.services]
            name = 'flagsmith_sse_http_writes_total{message="data"}'
            assert sum(one[name] for one in sent) == 4


async def test_survey__connected_since_the_update__not_counted_as_told(
    shared_fleet: Fleet, environment: str
) -> None:
    # Given
    await asyncio.to_thread(shared_fleet.daphne.publish, environment, 1)
    async with Stream(shared_fleet.daphne.stream_url(environment)) as stream:
        assert await stream.next_event() == event("1")

        # When
        report = await told_by_all(shared_fleet, environment)

    # Then
    assert report.subscribers == 1
    [update] = report.updates
    assert (update.writers, update.subscribers) == (3, 0)


async def test_survey__key_that_nobody_knows__said_so(
    shared_fleet: Fleet, environment: str
) -> None:
    # When
    report = await survey_environment(shared_fleet.settings, environment)

    # Then
    assert report.unknown == NOBODY
    assert len(report.instances) == 3
    assert (report.oldest, report.newest, report.latest) == (None, None, None)


async def test_survey__nats_away__what_this_process_knows(
    nats: NatsServer, environment: str
) -> None:
    # Given
    async with hosted(nats.url) as service:
        nats.kill()
        async with asyncio.timeout(10):
            while service.agent.client is not None:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.01)

        # When
        report = await survey_environment(service.settings, environment, service.agent)

    # Then
    assert report.nats_error is not None
    assert report.nats_error.startswith("Cannot connect to NATS")
    [one] = report.instances
    assert one.instance == service.bridge.consumer_name
    assert one.not_ready == "NATS is not connected."
    # and nothing of the key, of which others may have heard
    assert report.unknown is None


async def test_survey__update_held_in_an_outbox__told(
    nats: NatsServer, environment: str
) -> None:
    # Given
    async with hosted(nats.url) as service:
        nats.kill()
        async with asyncio.timeout(10):
            while service.bridge.has_session:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.01)
        service.intake.outbox.keep(Update(environment, "1.5"), None, reason="no NATS")

        # When
        report = await survey_environment(service.settings, environment, service.agent)
        nats.start()
        # A connection that is cut off while it is made is left to the garbage.
        await eventually_async(lambda: len(service.intake.outbox) == 0, what="stored")

    # Then
    assert report.held
    assert report.unknown is None
    [one] = report.instances
    assert one.held is not None
    assert one.held.updated_at == "1.5"


async def test_survey__hostile_answers__passed_over_or_bounded(
    nats: NatsServer, environment: str
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    liar = await nats_py.connect(nats.url)
    good = json.loads(encode(told(subscribers=2, alive=2)))
    seen = {"updated_at": "1", "sequence": 1, "stored_at": 1, "read": 1}
    bad = [
        b"\xff",
        {**good, "clients": {"<script>": 1}},
        {**good, "clients": {"k" * (n + 1): 1 for n in range(33)}},
        {**good, "oldest": -1},
        {**good, "newest": 1e300},
        {**good, "updates": [seen] * 21},
        {**good, "latest": {"updated_at": "x" * 501, "sequence": 1, "stored_at": 1}},
    ]

    async def lie(message: Msg) -> None:
        assert message.data == environment.encode()
        for one in (*bad, good, good):
            await message.respond(
                one if isinstance(one, bytes) else json.dumps(one).encode()
            )

    await liar.subscribe(ENVIRONMENT, cb=lie)
    await liar.flush()

    # When
    report = await survey_environment(settings, environment)
    await liar.close()

    # Then: the good one, once
    assert [one.subscribers for one in report.instances] == [2]
    assert report.subscribers == 2


def test_command__environment_with_a_stream__told_in_a_table(
    shared_fleet: Fleet, environment: str
) -> None:
    # Given
    async def ask(*arguments: str) -> str:
        url = shared_fleet.daphne.stream_url(environment)
        async with Stream(url, headers={"User-Agent": "okhttp/4"}) as stream:
            await stream.next_block()
            await asyncio.to_thread(shared_fleet.daphne.publish, environment, 2.5)
            await stream.next_event()
            done = await asyncio.to_thread(
                manage,
                *("environment", environment, *arguments),
                environment={
                    "SSE_AUTHENTICATION_TOKEN": TOKEN,
                    "NATS_URL": shared_fleet.nats.url,
                },
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # When
    text = asyncio.run(ask())
    document = json.loads(asyncio.run(ask("--json")))

    # Then
    assert text.startswith(f"Environment {environment}\n")
    pid = f"({shared_fleet.daphne.process.pid})"
    [row] = [line for line in text.splitlines() if pid in line]
    assert "1 Android (OkHttp)" in row
    assert "never reconnects after a connection that broke" in text
    assert "3 of 3 instances" in text
    assert "\n1 subscriber on 3 instances.\n" in text
    assert "The latest update is 2.5, sequence" in text
    assert document["environment"] == environment
    assert document["subscribers"] == 1
    assert document["latest"]["updated_at"] == "2.5"


def test_command__nats_down__exits_with_1_and_names_the_address() -> None:
    # When
    done = manage(
        *("environment", "abc"),
        environment={
            "SSE_AUTHENTICATION_TOKEN": TOKEN,
            "NATS_URL": "nats://me:hunter2@127.0.0.1:1",
        },
    )

    # Then
    assert done.returncode == 1
    assert "Cannot connect to NATS at 127.0.0.1:1: connection refused" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_command__key_that_cannot_be_one__said_so() -> None:
    # When
    done = manage("environment", "a b", environment={"SSE_AUTHENTICATION_TOKEN": TOKEN})

    # Then
    assert done.returncode == 1
    assert "a b cannot be an environment key." in done.stderr


KEY = "AbCdEfGhIjKlMnOpQr0123"
SHORT = "AbCdEf…0123"


def test_page__somebody_who_may_only_view__never_sees_a_whole_key(
    users: dict[str, User], operator: Client, nats_settings: RealtimeSettings
) -> None:
    # Given
    viewer = Client()
    viewer.force_login(users["viewer"])

    # When
    seen = viewer.get(PAGE, {"key": KEY}).content.decode()
    operated = operator.get(PAGE, {"key": KEY}).content.decode()
    unfit = viewer.get(PAGE, {"key": KEY + "*"}).content.decode()

    # Then
    assert SHORT in seen
    assert KEY not in seen
    assert KEY not in unfit
    assert "Send a test update" not in seen
    assert f'<code id="environment-key" class="whole">{KEY}</code>' in operated
    assert f"test-update/?environment={KEY}" in operated
    assert f"playground/?environment={KEY}" in operated
    assert f'value="{KEY}"' in operated


@pytest.mark.parametrize("key", ["a b", "a.*", "x" * 101, "<b>"])
def test_page__key_that_cannot_be_one__said_so(operator: Client, key: str) -> None:
    # When
    answer = operator.get(PAGE, {"key": key})

    # Then
    assert answer.status_code == 400
    assert "cannot be an environment key." in answer.content.decode()
    assert "<b>" not in answer.content.decode()


def test_page__no_instance__said(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # When
    page = operator.get(PAGE, {"key": KEY}).content.decode()

    # Then: nobody answers, so nothing is said of the key
    assert "None answers." in page
    assert "is the key right" not in page


def test_page__nats_away__nothing_that_is_not_known(
    operator: Client, nats: NatsServer, nats_settings: RealtimeSettings
) -> None:
    # Given: this process serves no streams
    nats.kill()

    # When
    page = operator.get(PAGE, {"key": KEY}).content.decode()

    # Then
    assert "Cannot connect to NATS" in page
    assert "Nothing is known here" in page
    assert page.count("Not known.") == 2
    assert 'id="total-subscribers"' not in page


def test_page__made_up_updates__times_and_numbers_as_text(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # Given
    times = ["1735229888.76", "1e5", "9" * 60, "<script>"]
    updates = tuple(
        SeenUpdate(updated_at=time, sequence=n, stored_at=1e11, read=1e10)
        for n, time in enumerate(times)
    )
    stored = StoredUpdate(updated_at="<script>", sequence=3, stored_at=1)
    answer = told(updates=updates, latest=stored, subscribers=1, visited=1)

    # When
    answers = {ENVIRONMENT: lambda report, payload: answer}
    with simulated_fleet(nats_settings, made_up(), answers=answers):
        page = operator.get(PAGE, {"key": KEY}).content.decode()

    # Then
    assert "2024-12-26 16:18:08 UTC" in page
    assert "<script>" not in page.partition('id="instances"')[2]
    assert page.count('data-sequence="') == 4
