"""The admin's pages by Django's own test client: who may see and do what, that
everything shown is text, and what a page costs."""

import asyncio
import json
import re
import statistics
import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from realtime.admin.action_log import SHOWN
from realtime.conf import RealtimeSettings
from realtime.fleet.history.minutes import HISTORY
from realtime.fleet.key_shortening import shortened
from realtime.fleet.messages import Busy, InstanceReport, LatestUpdate
from realtime.fleet.reporter import BUSIEST
from realtime.fleet.survey import CONNECT_SECONDS
from realtime.jetstream.connection import connected
from realtime.jetstream.stream_config import StreamSettings
from realtime.jetstream.stream_keeper import StreamKeeper
from realtime.models import Fleet
from tests.support.histories import answered
from tests.support.nats import NatsServer
from tests.support.simulated_fleet import made_up, simulated_fleet

FLEET = "/admin/realtime/fleet/"
HOSTILE = """"><script>alert('x')</script>&amp;{{7*7}}"""
PAGES = ["", "live/", "report.json", "playground/", "environment/", "runbook/", "log/"]
ACTIONS = ["test-update/", "drain/sse-simulated-0-abcdef/"]
BY_SCRIPT = {"Accept": "application/json"}
KEY = "WzZVkYqY3nP8mTq4RbXk2c"
QUERIES = 4
"""The session, the user, and what the user and its groups may do."""


def busy(number: int, place: int) -> Busy:
    """An environment that nobody else has."""
    key = f"{number:06}-{place:06}-of-5000"
    return Busy(shortened(key), 10, stored_at=time.time(), key=key)


async def ensure_stream(settings: RealtimeSettings) -> None:
    async with connected(settings, CONNECT_SECONDS) as client:
        await StreamKeeper(settings).ensure(client)


@pytest.mark.parametrize("page", [*PAGES, *ACTIONS])
@pytest.mark.parametrize("method", ["get", "post"])
def test_page__not_logged_in__sent_to_the_login(
    db: None, page: str, method: str
) -> None:
    # When
    answer = getattr(Client(), method)(FLEET + page)

    # Then
    assert answer.status_code == 302
    assert answer.url == f"/admin/login/?next={FLEET}{page}"


@pytest.mark.parametrize("page", [*PAGES, *ACTIONS])
def test_page__staff_without_the_permission__forbidden(
    users: dict[str, User], page: str
) -> None:
    # Given
    client = Client()
    client.force_login(users["clerk"])

    # When / Then
    assert client.get(FLEET + page).status_code == 403
    assert client.post(FLEET + page).status_code == 403
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("page", PAGES)
def test_page__permission_but_no_staff__sent_to_the_login(
    users: dict[str, User], page: str
) -> None:
    # Given
    User.objects.filter(username="operator").update(is_staff=False)
    client = Client()
    client.force_login(users["operator"])

    # When / Then
    assert client.get(FLEET + page).status_code == 302


@pytest.mark.parametrize("page", ACTIONS)
def test_action__permission_to_view_only__forbidden_and_not_offered(
    users: dict[str, User], nats_settings: RealtimeSettings, page: str
) -> None:
    # Given
    client = Client()
    client.force_login(users["viewer"])

    # When
    with simulated_fleet(nats_settings, made_up()):
        overview = client.get(FLEET).content.decode()
        played = client.get(FLEET + "playground/").content.decode()
        forbidden = client.get(FLEET + page), client.post(FLEET + page)

    # Then
    assert [answer.status_code for answer in forbidden] == [403, 403]
    assert "host-0" in overview
    assert FLEET + page not in overview
    assert FLEET + page not in played
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("page", ACTIONS)
def test_action__without_csrf_token__forbidden(
    users: dict[str, User], page: str
) -> None:
    # Given
    client = Client(enforce_csrf_checks=True)
    client.force_login(users["operator"])

    # When
    answer = client.post(FLEET + page, {"environment": "abc"})

    # Then
    assert answer.status_code == 403
    assert "CSRF" in answer.content.decode()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("page", PAGES)
def test_page__other_methods__not_allowed(operator: Client, page: str) -> None:
    assert operator.post(FLEET + page).status_code == 405
    assert operator.delete(FLEET + page).status_code == 405


def test_index__permission__lists_the_page(
    users: dict[str, User], operator: Client
) -> None:
    # Given
    clerk = Client()
    clerk.force_login(users["clerk"])

    # When / Then
    assert f'href="{FLEET}"' in operator.get("/admin/").content.decode()
    assert "Real-time health" in operator.get("/admin/").content.decode()
    assert FLEET not in clerk.get("/admin/").content.decode()


@pytest.mark.parametrize("page", [*PAGES, *ACTIONS, "test-update/?environment=abc"])
def test_page__any__strict_content_security_policy(
    operator: Client, nats_settings: RealtimeSettings, page: str
) -> None:
    # When
    answer = operator.get(FLEET + page)

    # Then
    policy = dict(
        directive.split(" ", 1)
        for directive in answer["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("last_error_at", [1.0, None])
def test_page__hostile_reports__shown_as_text(
    operator: Client, nats_settings: RealtimeSettings, last_error_at: float | None
) -> None:
    # Given: whoever may publish on NATS may answer
    hostile = made_up(
        host=HOSTILE,
        version=HOSTILE,
        not_ready=HOSTILE,
        nats_server=HOSTILE,
        last_error=HOSTILE,
        last_error_at=last_error_at,
        stream=StreamSettings(storage=HOSTILE, replicas=2**63 - 1, max_age=9e9),
        busiest=(Busy(HOSTILE, 1),),
        latest=(LatestUpdate(HOSTILE, HOSTILE, 1, time.time()),),
    )

    # When
    with simulated_fleet(nats_settings, hostile):
        pages = [operator.get(FLEET + page).content.decode() for page in PAGES[:2]]
        report = operator.get(FLEET + "report.json")
        drain = operator.get(FLEET + f"drain/{hostile.instance}/").content.decode()

    # Then
    for page in (*pages, drain):
        assert "&lt;script&gt;alert(" in page
        assert "<script>alert(" not in page
    assert b"<" not in report.content
    assert b"&" not in report.content
    assert report["Content-Type"] == "application/json"
    assert json.loads(report.content)["instances"][0]["host"] == HOSTILE


@pytest.mark.parametrize("fields", [{"leaving": True}, {"draining": True}])
def test_overview__instance_that_leaves__not_offered_to_drain(
    operator: Client, nats_settings: RealtimeSettings, fields: dict[str, bool]
) -> None:
    # When
    with simulated_fleet(nats_settings, made_up(0, **fields), made_up(1)):
        overview = operator.get(FLEET).content.decode()

    # Then
    assert f"{FLEET}drain/{made_up(0).instance}/" not in overview
    assert f"{FLEET}drain/{made_up(1).instance}/" in overview


@pytest.mark.parametrize("page", ["test-update/", "playground/"])
def test_page__hostile_environment_in_the_address__shown_as_text(
    operator: Client, page: str
) -> None:
    # When
    answer = operator.get(FLEET + page, {"environment": HOSTILE}).content.decode()

    # Then
    assert "&lt;script&gt;alert(" in answer
    assert "<script>alert(" not in answer


def test_test_update__no_environment_key__not_sent(operator: Client) -> None:
    # When
    answer = operator.post(FLEET + "test-update/", {"environment": HOSTILE})

    # Then
    assert answer.status_code == 400
    assert "cannot be an environment key" in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_test_update__no_environment_key_by_script__reason_as_json(
    operator: Client,
) -> None:
    # When
    answer = operator.post(
        FLEET + "test-update/", {"environment": HOSTILE}, headers=BY_SCRIPT
    )

    # Then
    assert answer.status_code == 400
    outcome = answer.json()["outcome"]
    assert outcome == f"Not sent. {HOSTILE} cannot be an environment key."
    assert not LogEntry.objects.exists()


def test_test_update__refused_by_jetstream__not_confirmed(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # When: there is no stream
    answer = operator.post(
        FLEET + "test-update/", {"environment": "abc"}, headers=BY_SCRIPT
    )

    # Then
    assert answer.json()["outcome"].startswith("Not confirmed. JetStream has no stream")
    assert answer.json()["updated_at"] is None


@pytest.mark.parametrize("instance", ["nobody", "sse-simulated-0-abcdef"])
def test_drain__instance_that_does_not_answer__said(
    operator: Client, nats_settings: RealtimeSettings, instance: str
) -> None:
    # When
    answers = [operator.get(FLEET + f"drain/{instance}/")]
    answers.append(operator.post(FLEET + f"drain/{instance}/"))

    # Then
    for answer in answers:
        assert answer.status_code == 404
        assert "does not answer" in answer.content.decode()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("instance", ["*", "a.b", "a b", ">", "a%0d%0ab"])
def test_drain__no_token_of_a_subject__not_found(
    operator: Client, instance: str
) -> None:
    assert operator.get(FLEET + f"drain/{instance}/").status_code == 404


@pytest.mark.parametrize("page", PAGES[:3])
@pytest.mark.parametrize("instances", [0, 1, 20])
def test_overview__any_number_of_instances__as_many_queries(
    operator: Client,
    nats_settings: RealtimeSettings,
    django_assert_num_queries: DjangoAssertNumQueries,
    instances: int,
    page: str,
) -> None:
    # Given: the first request to a process looks whether the database is migrated
    operator.get(FLEET + "log/")
    with simulated_fleet(nats_settings, *map(made_up, range(instances))):
        # When / Then
        with django_assert_num_queries(QUERIES):
            answer = operator.get(FLEET + page)
        assert answer.status_code == 200
        assert answer.content.count(b"sse-simulated-") >= instances


def test_overview__20_instances__rendered_in_300_ms_besides_gathering(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # Given: each with 5,000 environments, of which it names as many as it may
    reports = [
        made_up(
            number,
            environments=5000,
            unnamed=1,
            subscribers=10_000,
            busiest=tuple(busy(number, place) for place in range(BUSIEST)),
            clients={"browser": 5000, "android": 3000, "python": 2000},
        )
        for number in range(20)
    ]
    with simulated_fleet(nats_settings, *reports, answers={HISTORY: answered}):
        operator.get(FLEET)

        # When
        costs = []
        for _ in range(5):
            began = time.perf_counter()
            answer = operator.get(FLEET)
            costs.append(time.perf_counter() - began - answer.context["report"].took)

    # Then
    assert answer.content.count(b"data-instance=") == 20
    assert answer.context["report"].history.complete
    assert statistics.median(costs) < 0.3


def test_overview__nats_down__said_within_two_seconds(
    operator: Client, nats: NatsServer, nats_settings: RealtimeSettings
) -> None:
    # Given: instances that were seen a moment ago
    with simulated_fleet(nats_settings, made_up()):
        assert "host-0" in operator.get(FLEET).content.decode()
        nats.kill()

        # When
        began = time.monotonic()
        answer = operator.get(FLEET)

        # Then
        assert time.monotonic() - began < 2
        assert answer.context["report"].verdict.level == "down"
        assert "Cannot connect to NATS" in answer.content.decode()
        missing = [one.host for one in answer.context["report"].missing]
        assert "host-0" in missing

        # Then: what was known is shown, and as such
        page = answer.content.decode()
        assert "before NATS was lost" in page
        assert '<span class="value" id="total-subscribers">10</span>' in page
        assert "not known" in page
        assert 'class="state missing"' not in page


def test_overview__nats_down_from_the_beginning__own_figures_are_no_totals(
    operator: Client, nats: NatsServer, nats_settings: RealtimeSettings
) -> None:
    # Given
    nats.kill()

    # When
    page = operator.get(FLEET).content.decode()

    # Then
    assert "this instance only" in page
    assert "Not known." in page
    assert "None." not in page


def test_drain__last_ready_instance__warned_of(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # Given
    address = FLEET + f"drain/{made_up(0).instance}/"

    # When
    with simulated_fleet(nats_settings, made_up(0), made_up(1, subscribers=1000)):
        alone = operator.get(address).content.decode()
    with simulated_fleet(nats_settings, made_up(0), made_up(1)):
        accompanied = operator.get(address).content.decode()

    # Then: a full one takes nobody
    assert "No other instance is ready." in alone
    assert "No other instance is ready." not in accompanied
    assert 'class="danger"' in accompanied


def test_log__what_was_done__told_with_keys_for_those_who_may_act(
    operator: Client, users: dict[str, User], nats_settings: RealtimeSettings
) -> None:
    # Given: what came of it, and something that is about nothing of ours
    operator.post(FLEET + "test-update/", {"environment": KEY}, headers=BY_SCRIPT)
    LogEntry.objects.create(
        user=users["operator"],
        content_type=ContentType.objects.get_for_model(Fleet),
        object_repr=KEY,
        action_flag=2,
        change_message=f"Test update: NATS forbids flagsmith.environment.{KEY}.",
    )
    LogEntry.objects.create(
        user=users["operator"],
        content_type=ContentType.objects.get_for_model(User),
        object_repr="somebody-else",
        action_flag=1,
    )
    viewer = Client()
    viewer.force_login(users["viewer"])

    # When
    whole = operator.get(FLEET + "log/").content.decode()
    short = viewer.get(FLEET + "log/").content.decode()

    # Then
    for page in (whole, short):
        assert "Test update" in page
        assert "Not confirmed. JetStream has no stream" in page
        assert "somebody-else" not in page
    assert KEY in whole
    assert KEY not in short
    assert "WzZVkY…Xk2c" in short
    assert f"environment/?key={KEY}" in whole
    assert "environment/?key=WzZVkY%E2%80%A6Xk2c" in short


def test_log__more_than_fit__the_newest(
    operator: Client, users: dict[str, User]
) -> None:
    # Given
    ours = ContentType.objects.get_for_model(Fleet)
    for number in range(SHOWN + 1):
        LogEntry.objects.create(
            user=users["operator"],
            content_type=ours,
            object_repr=f"host ({number})",
            action_flag=2,
            change_message="Drain: done",
        )

    # When
    page = operator.get(FLEET + "log/").content.decode()

    # Then
    assert page.count("Drain") == SHOWN
    assert f"host ({SHOWN})" in page
    assert "host (0)" not in page


def test_overview__finding__leads_to_its_entry_in_the_runbook(
    operator: Client, nats_settings: RealtimeSettings
) -> None:
    # Given
    full = made_up(subscribers=1000)

    # When
    with simulated_fleet(nats_settings, full, made_up(1)):
        overview = operator.get(FLEET).content.decode()
    anchors = re.findall(rf'href="{FLEET}runbook/#([^"]+)"', overview)
    runbook = operator.get(FLEET + "runbook/").content.decode()

    # Then
    assert "flagsmithssesubscribersnearlimit" in anchors
    for anchor in anchors:
        assert f'<h2 id="{anchor}">' in runbook


@pytest.mark.parametrize(
    ("reports", "title"),
    [
        ([], "● Down"),
        ([made_up()], "✓ All well"),
        ([made_up(), made_up(1, subscribers=1000)], "● Degraded"),
    ],
)
def test_overview__any_verdict__in_the_title_and_the_icon(
    operator: Client,
    nats_settings: RealtimeSettings,
    reports: list[InstanceReport],
    title: str,
) -> None:
    # Given: without a stream all would be down
    asyncio.run(ensure_stream(nats_settings))

    # When
    with simulated_fleet(nats_settings, *reports):
        answer = operator.get(FLEET)

    # Then
    page = answer.content.decode()
    level = answer.context["report"].verdict.level
    assert f"<title>{title} \N{EN DASH} Real-time health</title>" in page.replace(
        "\n", ""
    )
    assert f'/realtime/favicon-{level}.svg"' in page
    assert finders.find(f"realtime/favicon-{level}.svg")


def test_playground__process_without_streams__uses_the_service_s_address(
    operator: Client, settings: Settings
) -> None:
    # Given
    settings.SSE_SERVER_BASE_URL = "https://realtime.example.com/"

    # When
    answer = operator.get(FLEET + "playground/")

    # Then
    streams = 'data-streams="https://realtime.example.com/sse/environments/"'
    assert streams in answer.content.decode()
    policy = answer["Content-Security-Policy"]
    assert "connect-src 'self' https://realtime.example.com;" in policy
