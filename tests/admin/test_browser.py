"""The admin in real Chromium, over a real fleet: two workers of one `serve` and one
Daphne, on one NATS."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from realtime.fleet.messages import Quantiles
from tests.admin.fleet import Fleet, admin_url, log_in
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.streams import Stream

STREAMS = 6
DASH = "\u2013"
PHONE: ViewportSize = {"width": 390, "height": 844}
SOON = 10_000
"""Milliseconds in which a page that updates itself every two seconds has done so, on a
busy machine too."""


def row_of(page: Page, pid: int) -> Locator:
    """Of the instance that is a process of its own."""
    return page.locator(".instances [data-instance]", has_text=f"({pid})")


async def favicon(page: Page) -> str:
    """The name of the file."""
    address = await page.get_attribute("#favicon", "href")
    return (address or "").rpartition("/")[2]


def log_entries(database: Path, about: str) -> list[tuple[str, str]]:
    """Who did what to `about`, as the admin's log tells."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(
            "SELECT username, change_message FROM django_admin_log "
            "JOIN auth_user ON auth_user.id = user_id WHERE object_id = ?",
            [about],
        ).fetchall()


async def test_overview__fleet_that_changes__shown_without_reloading(
    fleet: Fleet, page: Page, environment: str
) -> None:
    # Given
    await log_in(page, fleet.workers)
    states = page.locator(".instances .state")
    subscribers = page.locator("#total-subscribers")
    await expect(page.locator("#verdict")).to_have_text("All well")
    await expect(states).to_have_text(["ready"] * 3)
    await expect(subscribers).to_have_text("0")
    await expect(page).to_have_title(f"✓ All well {DASH} Real-time health")
    assert await favicon(page) == "favicon-well.svg"
    await page.evaluate("window.neverReloaded = true")

    # When: streams open on both servers, and close
    async with AsyncExitStack() as streams:
        for number in range(STREAMS):
            url = fleet.services[number % 2].stream_url(environment)
            stream = await streams.enter_async_context(Stream(url))
            await stream.next_block()

        # Then
        await expect(subscribers).to_have_text(str(STREAMS), timeout=SOON)
        busiest = page.locator("tr", has_text=f"{environment[:6]}…{environment[-4:]}")
        await expect(busiest.first).to_contain_text(str(STREAMS))
    await expect(subscribers).to_have_text("0", timeout=SOON)

    # When
    await asyncio.to_thread(fleet.daphne.stop)

    # Then: asked to go, so it is not missed
    lone = page.locator(
        ".instances [data-instance]", has_text=f"({fleet.daphne.process.pid})"
    )
    await expect(lone.locator(".state.left")).to_have_text("left", timeout=SOON)
    await expect(lone).to_contain_text("it was shutting down")
    await expect(page.locator("#total-instances")).to_have_text("2")
    await expect(page.locator("#verdict")).to_have_text("All well")

    # When
    await asyncio.to_thread(fleet.nats.kill)

    # Then: what this process knows
    await expect(page.locator("#verdict")).to_have_text("Down", timeout=SOON)
    await expect(page.locator(".verdict")).to_contain_text("Cannot connect to NATS")
    await expect(page.locator("#announcement")).to_contain_text(
        "Down: Cannot connect to NATS"
    )
    await expect(page.locator(".state.unready")).to_have_count(1)
    await expect(page).to_have_title(f"● Down {DASH} Real-time health")
    assert await favicon(page) == "favicon-down.svg"
    # and, marked as such, what was known before
    await expect(page.locator(".remembered")).to_contain_text("before NATS was lost")
    await expect(page.locator("#total-instances")).to_have_text("2")
    await expect(page.locator(".state.unknown").first).to_have_text("not known")
    await expect(page.locator(".state.missing")).to_have_count(0)
    await expect(page.locator(".action a")).to_have_count(0)
    assert await page.evaluate("window.neverReloaded")


async def test_overview__instance_killed_before_anybody_looked__missing(
    fleet: Fleet, page: Page
) -> None:
    # Given
    await asyncio.to_thread(fleet.daphne.kill)

    # When: the page comes from a process that has never asked the killed one
    await log_in(page, fleet.workers)

    # Then
    name = f"({fleet.daphne.process.pid})"
    lone = row_of(page, fleet.daphne.process.pid)
    await expect(page.locator("#verdict")).to_have_text("Degraded", timeout=SOON)
    await expect(page.locator(".verdict")).to_contain_text(f"{name} does not answer.")
    await expect(lone.locator(".state")).to_have_text("missing")
    await expect(lone).to_contain_text("last seen")
    await expect(page.locator(".state.ready")).to_have_count(2)


async def test_overview__server_gone__says_that_it_is_stale(
    fleet: Fleet, browser: Browser
) -> None:
    # Given: errors on the console are what this is about
    page = await browser.new_page()
    await log_in(page, fleet.daphne)
    await expect(page.locator("#staleness")).to_be_hidden()

    # When
    await asyncio.to_thread(fleet.daphne.stop)

    # Then
    stale = page.locator("#staleness")
    await expect(stale).to_be_visible(timeout=SOON)
    alert = stale.get_by_role("alert")
    await expect(alert).to_have_text(
        "This is not up to date: the server cannot be reached."
    )
    await expect(stale).to_contain_text("s old.")
    await expect(page.locator("#verdict")).to_have_text("All well")


async def test_overview__in_a_tab_that_nobody_sees__its_title_and_icon_follow(
    fleet: Fleet, page: Page
) -> None:
    # Given: a browser without windows shows every tab
    await page.add_init_script(
        "Object.defineProperty(document, 'hidden', {configurable: true, value: true})"
    )
    await log_in(page, fleet.daphne)
    await expect(page).to_have_title(f"✓ All well {DASH} Real-time health")

    # When
    await asyncio.to_thread(fleet.nats.kill)

    # Then
    await expect(page).to_have_title(
        f"● Down {DASH} Real-time health", timeout=2 * SOON
    )
    assert await favicon(page) == "favicon-down.svg"
    await expect(page.locator("#staleness")).to_be_hidden()


async def test_overview__logged_out_elsewhere__says_so(
    fleet: Fleet, browser: Browser
) -> None:
    # Given
    page = await browser.new_page()
    await log_in(page, fleet.daphne)

    # When
    await page.context.clear_cookies()

    # Then
    stale = page.locator("#staleness")
    await expect(stale).to_contain_text("not logged in any more", timeout=SOON)


async def test_overview__text_selected__kept_until_it_is_not(
    fleet: Fleet, page: Page
) -> None:
    # Given
    await log_in(page, fleet.daphne)
    name = page.locator(".instances th[scope=row]").first
    await name.select_text()
    selected = await page.evaluate("getSelection().toString()")
    shown = await page.text_content("#as-of") or ""

    # When
    await expect(page.locator("#staleness")).to_be_visible(timeout=SOON)

    # Then
    await expect(page.locator("#staleness")).to_contain_text("text in it is selected")
    assert selected
    assert await page.evaluate("getSelection().toString()") == selected
    await expect(page.locator("#as-of")).to_have_text(shown)

    # When
    await page.evaluate("getSelection().removeAllRanges()")

    # Then
    await expect(page.locator("#as-of")).not_to_have_text(shown, timeout=SOON)
    await expect(page.locator("#staleness")).to_be_hidden()


async def test_overview__something_else_answers__kept(fleet: Fleet, page: Page) -> None:
    # Given
    await log_in(page, fleet.daphne)

    # When: as a proxy in between may
    await page.route("**/live/", lambda route: route.fulfill(body="<p>Hello</p>"))

    # Then
    stale = page.locator("#staleness")
    await expect(stale).to_contain_text("answers with something else", timeout=SOON)
    await expect(page.locator("#verdict")).to_have_text("All well")


async def test_overview__keyboard_only__focus_survives_updates_and_enter_goes_on(
    fleet: Fleet, page: Page
) -> None:
    # Given
    await log_in(page, fleet.daphne)
    await page.locator("#stream-summary").focus()
    await page.keyboard.press("Enter")
    await page.locator(".action a").first.focus()
    focused = await page.evaluate("document.activeElement.id")
    shown = await page.text_content("#as-of")

    # When: it is replaced by a newer one
    await expect(page.locator("#as-of")).not_to_have_text(shown or "", timeout=SOON)

    # Then
    assert focused.startswith("drain-sse-")
    assert await page.evaluate("document.activeElement.id") == focused
    assert await page.evaluate("document.getElementById('stream-details').open")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/drain/**")
    await expect(page.locator("h1")).to_have_text("Drain an instance")


async def test_overview__without_javascript__a_plain_page_that_can_act(
    fleet: Fleet, browser: Browser, environment: str, admin_database: Path
) -> None:
    # Given
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()

    # When
    await log_in(page, fleet.daphne)

    # Then
    await expect(page.locator("#verdict")).to_have_text("All well")
    await expect(page.locator(".instances .state")).to_have_count(3)
    await expect(page.get_by_role("link", name="Reload")).to_be_visible()

    # When
    await page.get_by_role("link", name="Send a test update…").click()
    await page.fill("#environment", environment)
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_role("button", name="Yes, send it").click()

    # Then
    await expect(page.locator(".messagelist .warning")).to_contain_text("3 of 3")
    assert len(log_entries(admin_database, environment)) == 1


async def test_drain__confirmed__told_and_logged(
    fleet: Fleet, page: Page, admin_database: Path
) -> None:
    # Given
    await log_in(page, fleet.workers)
    lone = page.locator(
        ".instances [data-instance]", has_text=f"({fleet.daphne.process.pid})"
    )
    instance = await lone.get_attribute("data-instance")
    await lone.get_by_role("link", name="Drain").click()

    # When
    await page.get_by_role("button", name="Yes, drain it").click()

    # Then
    told = page.locator(".messagelist .success")
    await expect(told).to_contain_text("It ends its streams one after the other")
    await expect(lone.locator(".state.left")).to_be_visible(timeout=SOON)
    assert await asyncio.to_thread(fleet.daphne.process.wait, 10) == 0
    assert instance is not None
    name = await lone.locator("th").text_content()
    [(user, message)] = log_entries(admin_database, name or "")
    assert user == "operator"
    assert message.startswith("Drain: It ends its streams")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_overview__phone__fits_and_follows_the_colour_scheme(
    fleet: Fleet, browser: Browser, scheme: str
) -> None:
    # Given
    context = await browser.new_context(
        viewport=PHONE,
        color_scheme=scheme,  # type: ignore[arg-type]  # one of its literals
    )
    page = await context.new_page()

    # When
    await log_in(page, fleet.daphne)
    await page.locator("#stream-summary").click()

    # Then
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    background = await page.locator(".verdict").evaluate(
        "one => getComputedStyle(one).backgroundColor"
    )
    red, green, blue = (int(part) for part in background[4:-1].split(","))
    assert (red + green + blue > 3 * 128) is (scheme == "light")


@pytest.mark.parametrize("width", [PHONE["width"], 768, 1100, 1280, 1440, 1920])
async def test_overview__long_names__fits_any_window(
    fleet: Fleet, browser: Browser, width: int
) -> None:
    # Given: as Kubernetes and NATS have them, and numbers as they grow
    long = made_up(
        host="flagsmith-realtime-production-7c9f8d6b54-x2lqv",
        worker=12,
        nats_server="nats-production-2.nats-production-headless.messaging.svc:4222",
        not_ready="The latest updates have not been read yet.",
        last_error="Cannot connect to NATS: no answer in time",
        last_error_at=1.0,
        subscribers=123_456,
        subscribers_limit=1_048_320,
        environments=12_345,
        updates_read=123_456_789,
        updates_delivered=12_345_678_901,
        publish_seconds=Quantiles(p50=0.123, p95=0.4, p99=0.567, count=1),
        delivery_seconds=Quantiles(p50=0.123, p95=0.4, p99=0.567, count=1),
    )
    page = await browser.new_page(viewport={"width": width, "height": 900})
    with simulated_fleet(fleet.settings, long, others=3):
        # When
        await log_in(page, fleet.daphne)
        await expect(page.locator("[data-instance]")).to_have_count(4)
        await page.locator("#stream-summary").click()

        # Then
        found = await page.evaluate("document.documentElement.scrollWidth")
        assert found <= width


async def test_test_update__confirmed__arrives_in_the_playground_and_is_logged(
    fleet: Fleet, page: Page, environment: str, admin_database: Path
) -> None:
    # Given
    await log_in(page, fleet.daphne)
    path = f"realtime/fleet/playground/?environment={environment}"
    await page.goto(admin_url(fleet.daphne, path))
    await page.click("#subscribe")
    await expect(page.locator("#state")).to_have_text("subscribed")

    # When
    other = await page.context.new_page()
    await other.goto(admin_url(fleet.daphne, "realtime/fleet/test-update/"))
    await other.fill("#environment", environment)
    await other.get_by_role("button", name="Go on").click()
    assert not log_entries(admin_database, environment)
    await other.get_by_role("button", name="Yes, send it").click()

    # Then
    told = other.locator(".messagelist .success")
    await expect(told).to_contain_text("3 of 3 instances told 1 subscriber within")
    await expect(told).to_contain_text(" ms")
    row = page.locator("#events tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text('{"updated_at":')
    [(user, message)] = log_entries(admin_database, environment)
    assert user == "operator"
    assert message.startswith("Test update: 3 of 3 instances told 1 subscriber")


async def test_playground__published_from_the_button__arrives_with_its_latency(
    fleet: Fleet, page: Page, environment: str, admin_database: Path
) -> None:
    # Given
    await log_in(page, fleet.workers)
    await page.get_by_role("link", name="Playground").click()
    await page.fill("#environment", environment)
    await page.click("#subscribe")
    await expect(page.locator("#state")).to_have_text("subscribed")

    # When: not confirmed
    await page.click("#publish")

    # Then
    assert await page.locator("#confirmed:invalid").count() == 1
    assert not log_entries(admin_database, environment)

    # When
    await page.check("#confirmed")
    await page.click("#publish")

    # Then
    outcome = page.locator("#outcome")
    await expect(outcome).to_contain_text("3 of 3 instances told 1 subscriber")
    cells = page.locator("#events tbody tr td")
    await expect(cells).to_have_count(4)
    _, data, after_click, after_time = await cells.all_text_contents()
    assert data.startswith('{"updated_at":')
    assert 0 < float(after_click.removesuffix(" ms")) < SOON
    assert after_time.endswith(" ms")
    assert [user for user, _ in log_entries(admin_database, environment)] == [
        "operator"
    ]

    # When: somebody else's update
    await asyncio.to_thread(fleet.workers.publish, environment, 1)

    # Then
    await expect(page.locator("#events tbody tr")).to_have_count(2)
    await expect(cells.nth(2)).to_have_text(DASH)

    # When
    await page.click("#unsubscribe")

    # Then
    await expect(page.locator("#state")).to_have_text("not subscribed")

    # When: published while nobody here listens, and replayed afterwards
    await page.click("#publish")
    await expect(outcome).to_contain_text("told 0 subscribers")
    await page.click("#subscribe")

    # Then
    await expect(page.locator("#events tbody tr")).to_have_count(3)
    await expect(cells.nth(2)).to_have_text(DASH)

    # When
    await page.fill("#environment", f"{environment}2")

    # Then: what was confirmed was about another one
    assert not await page.is_checked("#confirmed")


async def test_playground__cannot_publish__said_why(
    fleet: Fleet, browser: Browser, environment: str, admin_database: Path
) -> None:
    # Given: errors on the console are what this is about
    page = await browser.new_page()
    await log_in(page, fleet.daphne)
    await page.goto(admin_url(fleet.daphne, "realtime/fleet/playground/"))
    outcome = page.locator("#outcome")

    # When
    await page.fill("#environment", "no key")
    await page.check("#confirmed")
    await page.click("#publish")

    # Then
    await expect(outcome).to_have_text("Not sent. no key cannot be an environment key.")

    # When
    await page.fill("#environment", environment)
    await page.check("#confirmed")
    await page.context.clear_cookies()
    await page.click("#publish")

    # Then
    await expect(outcome).to_contain_text("Not sent: you are not logged in any more")

    # When
    await asyncio.to_thread(fleet.daphne.stop)
    await page.click("#publish")

    # Then
    await expect(outcome).to_have_text("Not confirmed: the server cannot be reached.")
    assert not log_entries(admin_database, environment)


async def test_playground__no_environment_key__refused_and_text(
    fleet: Fleet, browser: Browser
) -> None:
    # Given: the browser reports the 404 on its console
    page = await browser.new_page()
    dialogs: list[object] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog))
    await log_in(page, fleet.daphne)
    hostile = "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"
    path = f"realtime/fleet/playground/?environment={hostile}"
    await page.goto(admin_url(fleet.daphne, path))

    # When
    await page.click("#subscribe")

    # Then
    await expect(page.locator("#state")).to_have_text(
        "refused (404): this cannot be an environment key", timeout=SOON
    )
    assert await page.input_value("#environment") == '"><img src=x onerror=alert(1)>'
    assert not dialogs


async def test_playground__nats_away__refused_with_its_status_and_reason(
    fleet: Fleet, browser: Browser, environment: str
) -> None:
    # Given: the browser reports the 503 on its console
    page = await browser.new_page()
    await log_in(page, fleet.daphne)
    path = f"realtime/fleet/playground/?environment={environment}"
    await page.goto(admin_url(fleet.daphne, path))
    await asyncio.to_thread(fleet.nats.kill)
    await asyncio.to_thread(fleet.daphne.await_ready, False)

    # When
    await page.click("#subscribe")

    # Then: each request is held for some seconds before it is refused
    state = page.locator("#state")
    await expect(state).to_contain_text("refused (503): ", timeout=2 * SOON)
    await expect(state).to_contain_text("NATS")

    # When
    await asyncio.to_thread(fleet.nats.start)
    await asyncio.to_thread(fleet.daphne.await_ready)
    await page.click("#subscribe")

    # Then
    await expect(state).to_have_text("subscribed", timeout=SOON)


async def test_playground__another_key__events_and_outcome_of_the_last_one_gone(
    fleet: Fleet, page: Page, environment: str
) -> None:
    # Given
    await log_in(page, fleet.workers)
    await page.get_by_role("link", name="Playground").click()
    await page.fill("#environment", environment)
    await page.click("#subscribe")
    await expect(page.locator("#state")).to_have_text("subscribed")
    await page.check("#confirmed")
    await page.click("#publish")
    rows = page.locator("#events tbody tr")
    outcome = page.locator("#outcome.success")
    await expect(rows).to_have_count(1)
    await expect(outcome).to_contain_text("told 1 subscriber")

    # When
    other = f"{environment}2"
    await page.fill("#environment", other)

    # Then: the events are still said to be of the environment that is subscribed to
    await expect(page.locator("#outcome")).to_have_text("")
    heading = page.locator("h2", has_text="Events")
    await expect(heading).to_have_text(f"Events of {environment}")
    await expect(rows).to_have_count(1)

    # When
    await page.click("#subscribe")

    # Then
    await expect(heading).to_have_text(f"Events of {other}")
    await expect(page.locator("#state")).to_have_text("subscribed")
    await expect(rows).to_have_count(0)

    # When
    await asyncio.to_thread(fleet.workers.publish, other, 7)

    # Then
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text('{"updated_at":7}')


async def test_test_update__nobody_subscribed__warns_that_the_key_may_be_wrong(
    fleet: Fleet, page: Page, environment: str, admin_database: Path
) -> None:
    # Given
    await log_in(page, fleet.daphne)
    path = f"realtime/fleet/test-update/?environment={environment}"
    await page.goto(admin_url(fleet.daphne, path))

    # When
    await page.get_by_role("button", name="Yes, send it").click()

    # Then
    nobody = "Nobody is subscribed to this environment: is the key right?"
    await expect(page.locator(".messagelist .warning")).to_contain_text(nobody)
    await expect(page.locator(".messagelist .success")).to_have_count(0)
    [(_, message)] = log_entries(admin_database, environment)
    assert message.endswith(nobody)

    # When: the same in the playground
    path = f"realtime/fleet/playground/?environment={environment}"
    await page.goto(admin_url(fleet.daphne, path))
    await page.check("#confirmed")
    await page.click("#publish")

    # Then
    await expect(page.locator("#outcome.warning")).to_contain_text(nobody)
