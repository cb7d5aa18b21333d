"""What happened, in the admin's pages: who did what, and what an operator sees of it
and does about it."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.async_api import Page, expect

from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.overview import gather
from realtime.fleet.timeline.event_text import EventText
from tests.admin.fleet import PASSWORD, PODS, Fleet, admin_session, admin_url, log_in
from tests.support.streams import Stream
from tests.support.waiting import eventually

SECONDS = 40
"""For beacons, and for what is noted after the last one came back."""


def await_report(
    fleet: Fleet, wanted: Callable[[FleetReport], bool], what: str
) -> FleetReport:
    """The first report that is as `wanted`."""

    def probe() -> FleetReport | None:
        report = asyncio.run(gather(fleet.settings))
        return report if wanted(report) else None

    report = eventually(probe, seconds=SECONDS, what=what)
    assert report is not None
    return report


def told(report: FleetReport, kind: str) -> list[EventText]:
    return [story for story in report.happenings if story.kind == kind]


def instance_of(fleet: Fleet, pid: int) -> str:
    report = asyncio.run(gather(fleet.settings))
    [found] = [one.instance for one in report.instances if one.pid == pid]
    return found


def post(session: requests.Session, url: str) -> requests.Response:
    """As the button on the confirmation does."""
    session.get(url, timeout=5)
    token = session.cookies["flagsmith_sse_csrftoken"]
    answer = session.post(url, {"csrfmiddlewaretoken": token}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def operator_session(fleet: Fleet) -> requests.Session:
    """Logged in to the workers' admin."""
    return admin_session(fleet.workers.url, "operator", PASSWORD)


async def test_drain__by_an_operator__told_by_whom_and_who_was_back(
    fleet: Fleet, operator_session: requests.Session, environment: str
) -> None:
    # Given
    instance = await asyncio.to_thread(instance_of, fleet, fleet.daphne.process.pid)
    async with Stream(fleet.daphne.stream_url(environment)) as stream:
        await stream.next_block()

        # When: its client comes to another instance
        drain = admin_url(fleet.workers, f"realtime/fleet/drain/{instance}/")
        await asyncio.to_thread(post, operator_session, drain)
        await asyncio.to_thread(fleet.daphne.await_logged, "drain.finished")
    async with Stream(fleet.workers.stream_url(environment)) as stream:
        await stream.next_block()
        report = await asyncio.to_thread(
            await_report,
            fleet,
            lambda report: any(
                "1 was back" in " ".join(story.sentences)
                for story in told(report, "left")
            ),
            "its client to be counted",
        )

    # Then
    [story] = told(report, "left")
    name = f"{PODS['daphne']} ({fleet.daphne.process.pid})"
    assert story.title == f"{name} was drained by operator."
    assert story.sentences == (
        "Its 1 stream was ended properly; 1 was back elsewhere within seconds.",
    )


async def test_dismissal__of_a_dead_instance__well_with_an_entry_in_the_log(
    fleet: Fleet, page: Page, admin_database: Path
) -> None:
    # Given
    victim = fleet.daphne
    await asyncio.to_thread(victim.kill)
    report = await asyncio.to_thread(
        await_report, fleet, lambda report: bool(report.dead), "its death"
    )
    name = report.dead[0].sighting.name

    # When
    await log_in(page, fleet.workers)
    section = page.locator(".happenings")
    await expect(section).to_contain_text(f"{name} died.")
    await section.get_by_role("link", name="Dismiss").click()
    await expect(page.locator(".confirmation")).to_contain_text(name)
    await page.get_by_role("button", name="Yes, dismiss it").click()

    # Then
    await expect(page.locator(".messagelist")).to_contain_text(
        f"Dismissal of {name}: It is not expected back."
    )
    await expect(page.locator("#verdict")).to_have_text("All well")
    await expect(section).to_contain_text(f"{name} was dismissed by operator")
    await expect(section.get_by_role("link", name="Dismiss")).to_have_count(0)
    times = await section.locator("time").evaluate_all(
        "all => all.map(one => one.dateTime)"
    )
    assert times
    assert all(time.endswith("+00:00") for time in times)
    with sqlite3.connect(admin_database) as database:
        [entry] = database.execute(
            "select change_message from django_admin_log where object_id = ?", [name]
        )
    assert entry == ("Dismissal: It is not expected back.",)


async def test_test_update__sent_from_the_page__told_with_its_outcome(
    fleet: Fleet, page: Page, environment: str
) -> None:
    # Given
    await log_in(page, fleet.workers)
    await page.goto(
        admin_url(
            fleet.workers, f"realtime/fleet/test-update/?environment={environment}"
        )
    )

    # When
    await page.get_by_role("button", name="Yes, send it").click()
    await expect(page.locator(".messagelist")).to_contain_text("3 of 3 instances told")
    await page.goto(admin_url(fleet.daphne))

    # Then
    short = f"{environment[:6]}…{environment[-4:]}"
    story = page.locator(".happenings li.test_update")
    await expect(story).to_contain_text(f"Test update of {short} by operator.")
    await expect(story).to_contain_text("3 of 3 instances told 0 subscribers")
    await expect(page.locator(".happenings")).not_to_contain_text(environment)
    # and the key leads to what is known of it
    await story.get_by_role("link", name=short).click()
    await expect(page.locator("#environment-key")).to_have_text(environment)
    await page.get_by_role("link", name="Back to the overview").click()
    await page.get_by_role("link", name="Log").click()
    await page.get_by_role("link", name=environment).click()
    await expect(page.locator("#environment-key")).to_have_text(environment)


async def test_outage__of_nats__page_tells_while_it_lasts_and_what_was_lost_after(
    fleet: Fleet, page: Page, environment: str
) -> None:
    # Given
    await log_in(page, fleet.daphne)
    fleet.nats.kill()
    await asyncio.to_thread(fleet.daphne.await_ready, False)

    # When
    section = page.locator(".happenings li.nats_away")
    await expect(section).to_contain_text("NATS is away", timeout=10_000)
    await expect(section.locator(".when")).to_contain_text("now")
    for attempt in range(8):
        answer = await asyncio.to_thread(fleet.daphne.publish, environment, attempt + 1)
        if answer.status_code == 202:
            break
    assert answer.status_code == 202
    fleet.nats.start()

    # Then: at a glance, what was lost
    await expect(section).to_contain_text("NATS was away for", timeout=30_000)
    await expect(section).to_contain_text(
        "1 publish was taken and kept (202)", timeout=30_000
    )
    await expect(section).to_contain_text(
        "All of it has been stored since: nothing was lost.", timeout=30_000
    )
    await expect(section).to_have_count(1)
    await expect(page.locator("#verdict")).to_have_text("All well", timeout=30_000)
