"""What the admin does to a real fleet, from a process that runs no service itself: as
the Flagsmith API would."""

import asyncio
import os
import signal

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django.fixtures import Settings

from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.messages import REPORT, Answer
from realtime.fleet.overview import gather
from realtime.fleet.survey import drain_instance, survey
from realtime.fleet.terminal_text import fleet_text
from tests.admin.fleet import Fleet
from tests.support.crowd import crowd
from tests.support.waiting import eventually

FLEET = "/admin/realtime/fleet/"
STREAMS = 40


@pytest.fixture
def api(fleet: Fleet, settings: Settings, operator: Client) -> Client:
    """The admin of another process, on the fleet's NATS."""
    settings.NATS_URL = [fleet.nats.url]
    return operator


def look(fleet: Fleet) -> FleetReport:
    return asyncio.run(gather(fleet.settings))


def instance_of(fleet: Fleet, pid: int) -> str:
    [found] = [one.instance for one in look(fleet).instances if one.pid == pid]
    return found


def test_drain__worker__replaced_before_it_leaves(fleet: Fleet, api: Client) -> None:
    # Given
    leaving, staying = fleet.workers.workers()
    url = f"{FLEET}drain/{instance_of(fleet, leaving)}/"

    # When
    confirmation = api.get(url).content.decode()

    # Then
    assert f"({leaving}, worker 0)" in confirmation
    assert "its supervisor starts another one first" in confirmation
    assert not LogEntry.objects.exists()

    # When
    answer = api.post(url, follow=True)
    fleet.workers.await_logged("workers.replaced")

    # Then
    assert answer.redirect_chain == [(FLEET, 302)]
    assert "Its supervisor replaces it." in answer.content.decode()
    replacement, same = fleet.workers.workers()
    assert same == staying
    assert replacement != leaving
    assert fleet.workers.running_workers() == [staying, replacement]
    assert not fleet.workers.events("worker.died")
    [entry] = LogEntry.objects.all()
    assert entry.user.username == "operator"
    assert entry.object_repr.endswith(f"({leaving}, worker 0)")
    assert entry.get_change_message().startswith("Drain: Its supervisor")

    assert entry.object_repr in api.get("/admin/").content.decode()

    # Then: who left is told of, but not missed
    report = look(fleet)
    assert report.verdict.level == "well"
    assert [one.pid for one in report.missing] == [leaving]
    # and its number is its successor's
    numbers = {one.pid: one.worker for one in report.instances}
    assert (numbers[replacement], numbers[staying]) == (0, 1)
    assert report.missed == 0
    table = fleet_text(report).splitlines()
    assert [line for line in table if f"({leaving}," in line and " left " in line]
    assert {one.pid for one in report.instances} == {
        *(replacement, staying),
        fleet.daphne.process.pid,
    }


async def test_drain__worker_told_twice__leaving_at_once_and_replaced_once(
    fleet: Fleet,
) -> None:
    # Given
    worker, _ = fleet.workers.workers()
    instance = await asyncio.to_thread(instance_of, fleet, worker)

    # When
    assert await drain_instance(fleet.settings, instance)
    async with survey(fleet.settings) as asking:
        answer = await asking.ask_one(f"{REPORT}.{instance}", Answer)
    assert await drain_instance(fleet.settings, instance)

    # Then
    assert answer is not None
    report = answer.report
    assert report.leaving
    assert not report.draining
    await asyncio.to_thread(fleet.workers.await_logged, "workers.replaced")
    assert len(fleet.workers.events("worker.started")) == 3
    assert len(fleet.workers.events("workers.replacing")) == 1


async def test_drain__lone_process__ends_its_streams_and_exits(
    fleet: Fleet, environment: str
) -> None:
    # Given
    daphne = fleet.daphne
    instance = await asyncio.to_thread(instance_of, fleet, daphne.process.pid)
    async with crowd(daphne, environment, STREAMS) as members:
        # When
        agreed = await drain_instance(fleet.settings, instance)
        ended = await asyncio.gather(*(m.ended_properly() for m in members))

    # Then
    assert agreed
    assert all(ended)
    assert await asyncio.to_thread(daphne.process.wait, 10) == 0


def test_drain__lone_process__said_what_happens_to_it(
    fleet: Fleet, api: Client
) -> None:
    # When
    instance = instance_of(fleet, fleet.daphne.process.pid)
    confirmation = api.get(f"{FLEET}drain/{instance}/").content.decode()

    # Then
    assert "it stops, with exit code 0" in confirmation
    assert fleet.daphne.is_ready()


def test_test_update__nats_down__not_sent_and_logged(
    fleet: Fleet, api: Client, environment: str
) -> None:
    # Given
    fleet.nats.kill()

    # When
    answer = api.post(FLEET + "test-update/", {"environment": environment}, follow=True)

    # Then
    assert "Not sent. Cannot connect to NATS" in answer.content.decode()
    [entry] = LogEntry.objects.all()
    assert entry.object_id == environment
    assert entry.get_change_message().startswith("Test update: Not sent.")


def test_test_update__instance_that_hangs__missing(
    fleet: Fleet, api: Client, environment: str
) -> None:
    # Given: it is connected, and does not answer
    os.kill(fleet.daphne.process.pid, signal.SIGSTOP)
    try:
        # When
        answer = api.post(
            FLEET + "test-update/", {"environment": environment}, follow=True
        )
        eventually(lambda: look(fleet).missing, what="to be missed")
        report = look(fleet)
    finally:
        os.kill(fleet.daphne.process.pid, signal.SIGCONT)

    # Then: those that answer know that there is one more
    assert "2 of 3 instances told 0 subscribers" in answer.content.decode()
    assert 'class="warning"' in answer.content.decode()
    assert report.verdict.level == "degraded"
    assert [one.pid for one in report.missing] == [fleet.daphne.process.pid]
