"""What becomes of publishes at real instances, as the whole fleet tells it."""

import json
import re
import time
from pathlib import Path

import pytest
import requests
from django.test import Client
from playwright.async_api import Browser, expect

from realtime.conf import RealtimeSettings
from realtime.fleet.fleet_report import FleetReport, as_json
from realtime.fleet.overview import gather
from realtime.fleet.publishes.fleet_publishes import FleetPublishes
from realtime.fleet.publishes.messages import (
    PublishesReport,
    RefusalReport,
    Slot,
    Source,
    StatusCount,
)
from realtime.fleet.terminal_text import fleet_text
from realtime.intake.relay import SIGNATURE_HEADER, Relayed, sign
from tests.admin.fleet import Fleet, log_in
from tests.integration.test_commands import manage
from tests.support.nats import NatsServer
from tests.support.raw_http import PUBLISHER, ask, queue_change
from tests.support.service import TOKEN, Service, running_service
from tests.support.simulated_fleet import made_up, simulated_fleet

WRONG = "a-token-that-is-not-ours"


async def publishes_of(settings: RealtimeSettings) -> FleetPublishes:
    report = await gather(settings)
    assert report.publishes is not None
    assert report.publishes.complete
    return report.publishes


async def after_accepted(settings: RealtimeSettings) -> FleetReport:
    """The first report that tells of an accepted publish: an answer is given again for
    a quarter of a second."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        report = await gather(settings)
        if report.publishes and report.publishes.accepted_at:
            return report
    raise AssertionError("no instance tells of the accepted publish")


def wrong_from(service: Service, environment: str, address: str) -> int:
    headers = {
        "Authorization": f"Token {WRONG}",
        "Content-Type": "application/json",
        "X-Forwarded-For": address,
    }
    return queue_change(service, environment, b'{"updated_at":1}', headers).status


async def test_publishes__wrong_token_behind_a_proxy__told_with_both_addresses(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    with running_service(single_server, nats.url, tmp_path) as service:
        service.await_ready()

        # When: loopback, which sends it all, is trusted
        for _ in range(10):
            assert wrong_from(service, environment, "198.51.100.7") == 401
        assert wrong_from(service, environment, "::ffff:198.51.100.8") == 401
        assert wrong_from(service, environment, "::ffff:198.51.100.7") == 401
        publishes = await publishes_of(settings)

        # Then
        assert publishes.accepted_at is None
        [refusal] = publishes.refusals
        assert (refusal.status, refusal.reason) == (401, "Invalid token.")
        assert (refusal.count, refusal.in_a_row) == (12, 12)
        assert refusal.addresses == ("198.51.100.7", "198.51.100.8")
        assert refusal.publisher
        [line] = service.events("publish.refused")
        assert line["address"] == "198.51.100.7"
        assert (line["status"], line["reason"]) == (401, "Invalid token.")
        assert (line["level"], line["times"]) == ("warning", 1)

        # When
        assert service.publish(environment, 1).status_code == 202
        report = await after_accepted(settings)

        # Then
        assert report.publishes is not None
        assert report.publishes.statuses == {202: 1, 401: 12}
        assert report.publishes.accepted_at == pytest.approx(time.time(), abs=30)
        assert report.publishes.refusals[0].in_a_row == 0
        assert report.verdict.level == "well"
        document = json.loads(as_json(report))["publishes"]
        assert document["refusals"][0]["addresses"] == ["198.51.100.7", "198.51.100.8"]
        for text in (as_json(report).decode(), service.log.read_text()):
            assert WRONG not in text
            assert TOKEN not in text
        assert "198.51.100" not in ask(service, "GET", "/metricsz").body.decode()


async def test_publishes__header_from_somebody_else__own_address_told(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        "serve", nats.url, tmp_path, FORWARDED_ALLOW_IPS="192.0.2.1"
    ) as service:
        service.await_ready()

        # When
        assert wrong_from(service, environment, "198.51.100.7") == 401
        publishes = await publishes_of(RealtimeSettings(nats_servers=(nats.url,)))

        # Then
        assert publishes.refusals[0].addresses == ("127.0.0.1",)


async def test_publishes__browsers_and_scanners__no_publishers(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    path = f"/sse/environments/{environment}/queue-change"
    with running_service(single_server, nats.url, tmp_path) as service:
        service.await_ready()

        # When
        for method in ("GET", "HEAD", "DELETE"):
            with_connection = ask(service, method, path)
            assert with_connection.status == 405
        assert ask(service, "POST", path, {}, b"x").status == 401
        assert ask(service, "OPTIONS", path).status == 200
        assert service.publish("bad key", 1).status_code == 404
        assert service.publish(environment, "soon").status_code == 400
        publishes = await publishes_of(RealtimeSettings(nats_servers=(nats.url,)))

        # Then
        found = {(one.status, one.publisher): one.count for one in publishes.refusals}
        assert found == {
            (405, False): 3,
            (401, False): 1,
            (404, True): 1,
            (400, True): 1,
        }
        reasons = {one.status: one.reason for one in publishes.refusals}
        assert reasons[400].startswith("updated_at: Not an ISO 8601 date and time")
        assert reasons[404] == "The path holds nothing that can be an environment key."


@pytest.mark.parametrize("base", ["/prefix", "/sse/prefix", "/prefix/../x"])
async def test_publishes__wrong_base_url__told_as_refused(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str, base: str
) -> None:
    # Given
    path = f"{base}/sse/environments/{environment}/queue-change"
    with running_service(single_server, nats.url, tmp_path) as service:
        service.await_ready()

        # When
        answer = ask(service, "POST", path, PUBLISHER, b'{"updated_at":1}')
        assert ask(service, "GET", path).status == 404
        publishes = await publishes_of(RealtimeSettings(nats_servers=(nats.url,)))

        # Then
        assert answer.status == 404
        [refusal] = publishes.refusals
        assert (refusal.status, refusal.count, refusal.publisher) == (404, 1, True)
        assert refusal.reason == (
            f"Nothing can be published to {base}/sse/environments/…/queue-change."
        )
        assert environment not in refusal.reason


async def test_publishes__nats_away__reason_told_and_kept_ones_accepted(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    refusing = {"SSE_ACCEPT_WITHOUT_NATS": "false"}
    with running_service("serve", nats.url, tmp_path, **refusing) as service:
        service.await_ready()
        nats.kill()

        # When
        answers = {service.publish(environment, n).status_code for n in range(3)}
        nats.start()
        service.await_ready()
        publishes = await publishes_of(settings)

        # Then
        assert answers == {503}
        [refusal] = publishes.refusals
        assert (refusal.status, refusal.count) == (503, 3)
        assert "NATS" in refusal.reason
        assert refusal.addresses == ("127.0.0.1",)
        [line] = service.events("publish.refused")
        assert line["status"] == 503


async def test_publishes__kept_until_nats_is_back__accepted(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
        nats.kill()

        # When: an outage is young for three seconds
        answers: list[requests.Response] = []
        while not answers or answers[-1].status_code == 503:
            answers.append(service.publish(environment, len(answers)))
        nats.start()
        service.await_ready()
        publishes = await publishes_of(settings)

        # Then
        assert answers[-1].status_code == 202
        assert answers[-1].headers["Flagsmith-SSE-Kept"] == "true"
        assert publishes.statuses.get(202) == 1
        assert publishes.statuses.get(503, 0) == len(answers) - 1
        assert publishes.accepted_at is not None


async def test_publishes__relayed_by_another_instance__not_counted_again(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    relayed = Relayed(
        sender="another",
        updated_at="7",
        dated=False,
        known=None,
        since=time.time(),
        keep=False,
    )
    body = json.dumps(
        {name: getattr(relayed, name) for name in relayed.__struct_fields__}
    ).encode()
    headers = {SIGNATURE_HEADER.decode(): sign(TOKEN, environment, body)}
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()

        # When
        path = f"/sse/environments/{environment}/relay"
        answer = ask(service, "POST", path, headers, body)
        publishes = await publishes_of(RealtimeSettings(nats_servers=(nats.url,)))

        # Then
        assert answer.status == 202
        assert publishes.statuses == {}
        assert publishes.accepted_at is None


async def test_fleet__all_refused_for_minutes__degraded_in_report_and_terminal(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    settings = RealtimeSettings(nats_servers=(nats.url,))
    now = time.time()
    refused = RefusalReport(
        status=401,
        reason="Invalid \x1b[2Jtoken.",
        publisher=True,
        slots=tuple(Slot(now - age, 2) for age in (200, 100, 5)),
        sources=(Source("10.0.3.17", now - 5),),
    )
    report = PublishesReport(
        accepted_at=now - 720, statuses=(StatusCount(401, 6),), refusals=(refused,)
    )
    with (
        running_service("serve", nats.url, tmp_path) as service,
        simulated_fleet(settings, made_up(publishes=report), others=1),
    ):
        service.await_ready()

        # When
        found = await gather(settings)
        text = fleet_text(found)
        variables = {"SSE_AUTHENTICATION_TOKEN": TOKEN, "NATS_URL": nats.url}
        command = manage("fleet", environment=variables)

    # Then
    assert found.verdict.level == "degraded"
    assert "SSE_AUTHENTICATION_TOKEN" in " ".join(found.verdict.reasons)
    assert re.search(
        r"Publishes: the latest was accepted 12 min.* ago; in the last 5 min 6 × 401\."
        r"\n  401: the newest \d+ s ago, from 10\.0\.3\.17: Invalid \?\[2Jtoken\.\n",
        text,
    )
    assert command.returncode == 1
    assert "6 publishes were refused with 401" in command.stdout


def test_overview__publishes_refused__reason_and_addresses_as_text(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # Given
    now = time.time()
    hostile = "<script>alert('x')</script>"
    refused = RefusalReport(
        status=400,
        reason=hostile,
        publisher=False,
        slots=(Slot(now - 5, 1234),),
        sources=(Source(hostile, now - 5), Source("10.0.3.17", now - 7)),
        others_at=now - 9,
    )
    report = PublishesReport(
        statuses=(StatusCount(202, 5), StatusCount(400, 1234)), refusals=(refused,)
    )

    # When
    with simulated_fleet(nats_settings, made_up(1, publishes=report), made_up(2)):
        page = operator.get("/admin/realtime/fleet/").content.decode()

    # Then
    assert hostile not in page
    escaped = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;"
    assert f"from {escaped}, 10.0.3.17 and others" in page
    assert "None has been accepted since the instances started." in page
    assert "1,234 × 400" in page
    assert "does not look like Flagsmith" in page
    assert "Instances of an older version do not tell of theirs." in page


def test_overview__no_instance_tells_of_publishes__nothing_said(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # When
    with simulated_fleet(nats_settings, made_up(1)):
        page = operator.get("/admin/realtime/fleet/").content.decode()

    # Then
    assert 'id="publishes"' not in page


async def test_overview__token_wrong_at_real_instances__seen_in_the_browser(
    fleet: Fleet, browser: Browser, environment: str
) -> None:
    # Given
    assert fleet.workers.publish(environment, 1).status_code == 202
    for number in range(5):
        address = f"2001:db8:1234:5678:9abc:def0:1234:567{number}"
        assert wrong_from(fleet.daphne, environment, address) == 401
    page = await browser.new_page(viewport={"width": 390, "height": 844})

    # When
    await log_in(page, fleet.daphne)

    # Then
    section = page.locator("#publishes")
    await expect(section).to_contain_text("The latest was accepted")
    await expect(section).to_contain_text("1 × 202, 5 × 401")
    row = section.locator("tbody tr")
    await expect(row).to_contain_text("Invalid token.")
    await expect(row).to_contain_text(f"from {address}, ")
    await expect(row).to_contain_text(" and others")
    await expect(page.locator("#verdict")).to_have_text("All well")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
