"""What happened, as real processes bring it about: who asks later is told."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from realtime.conf import RealtimeSettings
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.overview import gather
from realtime.fleet.timeline.event_text import EventText
from tests.integration.test_commands import manage
from tests.support.nats import NatsServer
from tests.support.service import TOKEN, Service, running_service
from tests.support.waiting import eventually

DEATH_SECONDS = 40
"""Until a death is noticed: ten seconds, on a machine that has much else to do."""


def look(settings: RealtimeSettings) -> FleetReport:
    return asyncio.run(gather(settings))


def told(report: FleetReport, kind: str) -> list[EventText]:
    return [story for story in report.happenings if story.kind == kind]


def await_report(
    settings: RealtimeSettings,
    wanted: Callable[[FleetReport], bool],
    what: str,
    seconds: float = DEATH_SECONDS,
) -> FleetReport:
    """The first report that is as `wanted`."""

    def probe() -> FleetReport | None:
        report = look(settings)
        return report if wanted(report) else None

    report = eventually(probe, seconds=seconds, what=what)
    assert report is not None
    return report


@pytest.fixture
def settings_of(nats: NatsServer) -> RealtimeSettings:
    return RealtimeSettings(authentication_tokens=(TOKEN,), nats_servers=(nats.url,))


def on_pod(
    stack: ExitStack, nats: NatsServer, folder: Path, pod: str, *, expected: int = 0
) -> Service:
    """An instance of its own, on a host of that name."""
    service = stack.enter_context(
        running_service(
            *("serve", nats.url, folder),
            DJANGO_SETTINGS_MODULE="tests.support.short_memory",
            POD=pod,
            SSE_EXPECTED_INSTANCES=str(expected),
        )
    )
    service.await_ready()
    return service


@pytest.fixture(autouse=True)
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks forgets as soon as the instances do."""
    monkeypatch.setattr("realtime.fleet.presence.REMEMBER_SECONDS", 4.0)


async def test_outage__publishes_and_nats_back__one_event_and_nothing_lost(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given
    with ExitStack() as stack:
        one, other = (on_pod(stack, nats, tmp_path, f"pod-{n}") for n in (1, 2))
        nats.kill()
        one.await_ready(False)
        other.await_ready(False)

        # When: three environments, one of them on both instances, until it is taken
        taken = refused = 0
        for service, key in ((one, "a" * 20), (one, "b" * 20), (other, "b" * 20)):
            for attempt in range(8):
                answer = await asyncio.to_thread(service.publish, key, attempt + 1)
                if answer.status_code == 202:
                    taken += 1
                    break
                refused += 1
        nats.start()
        one.await_ready()
        other.await_ready()
        report = await asyncio.to_thread(
            await_report,
            settings_of,
            lambda report: any(
                "nothing was lost" in " ".join(story.sentences)
                for story in told(report, "nats_away")
            ),
            "all to be stored",
        )

    # Then
    [story] = told(report, "nats_away")
    assert not story.going_on
    assert story.until is not None
    assert story.title.startswith("NATS was away for ")
    assert story.sentences == (
        f"{taken} publishes were taken and kept (202) and {refused} "
        f"publish{'es were' if refused > 1 else ' was'} answered with 503, of 2 "
        "environments.",
        "All of it has been stored since: nothing was lost.",
        "No event stream was rejected, and no open one was ended.",
    )
    assert taken == 3
    assert refused >= 1


def test_death__of_one_of_two__degraded_until_its_host_is_back(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given
    with ExitStack() as stack:
        on_pod(stack, nats, tmp_path, "pod-1")
        victim = on_pod(stack, nats, tmp_path, "pod-2")
        report = await_report(
            settings_of, lambda report: len(report.instances) == 2, "both"
        )
        assert report.verdict.level == "well"

        # When
        victim.kill()
        report = await_report(settings_of, forgotten_and_dead, "its death")

        # Then
        name = f"pod-2 ({victim.process.pid})"
        assert report.verdict.level == "degraded"
        assert report.verdict.reasons == (f"{name} died, and has not come back.",)
        assert [death.sighting.name for death in report.dead] == [name]
        [story] = told(report, "died")
        assert story.title == f"{name} died."
        assert story.going_on

        # When: one comes later, and learns of it
        late = on_pod(stack, nats, tmp_path, "pod-3")
        report = await_report(
            settings_of, lambda report: len(report.instances) == 2, "the late one"
        )
        assert report.verdict.level == "degraded"
        done = manage("fleet", "--events", environment=variables(nats))
        assert done.returncode == 1
        assert f"  {name} died, and has not come back." in done.stdout
        assert re.search(rf"to now  {re.escape(name)} died\. Its", done.stdout)

        # When: a pod of the same name is started
        on_pod(stack, nats, tmp_path, "pod-2")
        report = await_report(
            settings_of, lambda report: report.verdict.level == "well", "its return"
        )

        # Then
        assert report.dead == ()
        [story] = told(report, "died")
        assert not story.going_on
        assert story.sentences[0].startswith("It was back, or its successor was, after")
        assert late.process.poll() is None


def forgotten_and_dead(report: FleetReport) -> bool:
    return bool(report.dead) and not report.missing


def variables(nats: NatsServer) -> dict[str, str]:
    return {"SSE_AUTHENTICATION_TOKEN": TOKEN, "NATS_URL": nats.url}


def test_leaving__sigterm__well_and_told_that_it_left(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given
    with ExitStack() as stack:
        on_pod(stack, nats, tmp_path, "pod-1")
        leaver = on_pod(stack, nats, tmp_path, "pod-2")

        # When
        leaver.stop()
        report = await_report(
            settings_of, lambda report: bool(told(report, "left")), "its leaving"
        )

        # Then
        [story] = told(report, "left")
        assert story.title == f"pod-2 ({leaver.process.pid}) left."
        assert story.sentences == ("It stopped properly, with no stream open.",)
        assert report.verdict.level == "well"
        assert report.dead == ()


def test_leaving__instance_that_never_was_ready__has_left(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given: it wants the stream otherwise than one server can have it
    with ExitStack() as stack:
        on_pod(stack, nats, tmp_path, "pod-1")
        unready = stack.enter_context(
            running_service(
                *("serve", nats.url, tmp_path),
                DJANGO_SETTINGS_MODULE="tests.support.short_memory",
                POD="pod-2",
                NATS_STREAM_REPLICAS="3",
            )
        )
        unready.await_logged("bridge.interrupted")

        # When
        unready.stop()
        report = await_report(
            settings_of, lambda report: bool(told(report, "left")), "its leaving"
        )

        # Then
        assert [story.title for story in told(report, "left")] == [
            f"pod-2 ({unready.process.pid}) left."
        ]
        assert [one.missed for one in report.missing] in ([], [False])
        assert report.dead == ()


def test_expected_instances__fewer_and_then_enough__said_and_well(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given
    with ExitStack() as stack:
        on_pod(stack, nats, tmp_path, "pod-1", expected=2)
        report = look(settings_of)
        assert report.verdict.level == "degraded"
        assert report.verdict.reasons == ("1 of 2 expected instances answers.",)

        # When
        victim = on_pod(stack, nats, tmp_path, "pod-2", expected=2)
        await_report(settings_of, lambda one: one.verdict.level == "well", "enough")
        victim.kill()
        report = await_report(settings_of, forgotten_and_dead, "its death")

        # Then
        assert report.verdict.reasons == (
            "1 of 2 expected instances answers.",
            f"pod-2 ({victim.process.pid}) died, and has not come back.",
        )

        # When: another one takes its place, under another name
        on_pod(stack, nats, tmp_path, "pod-3", expected=2)

        # Then
        report = await_report(
            settings_of, lambda one: one.verdict.level == "well", "enough"
        )
        assert [death.sighting.host for death in report.dead] == ["pod-2"]


async def test_rolling_restart__of_everything__what_the_departed_saw_is_remembered(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given: an outage that the first two have seen
    with ExitStack() as stack:
        running = [on_pod(stack, nats, tmp_path, f"old-{n}") for n in (1, 2)]
        nats.kill()
        for service in running:
            service.await_ready(False)
        nats.start()
        for service in running:
            service.await_ready()

        # When: one after the other is replaced, twice
        for generation in ("new", "newest"):
            for place in range(2):
                pod = f"{generation}-{place + 1}"
                successor = on_pod(stack, nats, tmp_path, pod)
                running[place].stop()
                running[place] = successor
        report = await asyncio.to_thread(
            await_report,
            settings_of,
            lambda report: len(told(report, "left")) >= 4,
            "their leaving",
        )

    # Then
    [story] = told(report, "nats_away")
    assert story.title.startswith("NATS was away for ")
    assert not story.going_on
    assert report.verdict.level == "well"
    assert {one.host for one in report.instances} == {"newest-1", "newest-2"}


async def test_outage__of_nats_with_one_stopped_meanwhile__nobody_has_died(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given
    with ExitStack() as stack:
        stays = [on_pod(stack, nats, tmp_path, f"pod-{n}") for n in (1, 2)]
        leaves = on_pod(stack, nats, tmp_path, "pod-3")
        nats.kill()
        for service in stays:
            service.await_ready(False)

        # When
        leaves.stop()
        nats.start()
        for service in stays:
            service.await_ready()
        report = await asyncio.to_thread(
            await_report,
            settings_of,
            lambda report: bool(told(report, "gone")),
            "it to be given up",
            2 * DEATH_SECONDS,
        )

    # Then
    assert report.verdict.level == "well"
    assert report.dead == ()
    assert told(report, "died") == []
    assert [story.title for story in told(report, "gone")] == [
        f"pod-3 ({leaves.process.pid}) has not come back since NATS was away."
    ]


def test_pause__of_an_instance__takes_nobody_for_dead_and_is_back_itself(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given
    with ExitStack() as stack:
        on_pod(stack, nats, tmp_path, "pod-1")
        paused = on_pod(stack, nats, tmp_path, "pod-2")

        # When
        paused.process.send_signal(signal.SIGSTOP)
        try:
            await_report(settings_of, lambda one: bool(one.dead), "it to be missed")
        finally:
            paused.process.send_signal(signal.SIGCONT)
        report = await_report(
            settings_of,
            lambda one: (
                len(one.instances) == 2
                and not any(story.going_on for story in told(one, "died"))
            ),
            "it to be back",
        )

    # Then: nothing that the paused one missed made it think that the other had died
    assert report.dead == ()
    [story] = told(report, "died")
    assert story.title == f"pod-2 ({paused.process.pid}) died."


def test_worker__killed_and_replaced__told_with_its_reason_and_no_death(
    nats: NatsServer, tmp_path: Path, settings_of: RealtimeSettings
) -> None:
    # Given
    with running_service("workers", nats.url, tmp_path) as service:
        service.expected_errors = {"worker.died"}
        service.await_logged("nats.connected", 2)
        victim, _ = service.workers()

        # When
        os.kill(victim, signal.SIGKILL)
        report = await_report(
            settings_of,
            lambda report: (
                len(report.instances) == 2 and bool(told(report, "worker_died"))
            ),
            "the worker's death",
        )

        # Then
        host = report.instances[0].host
        assert [story.title for story in told(report, "worker_died")] == [
            f"Worker 0 of {host} ({victim}) died: killed by SIGKILL."
        ]
        assert told(report, "died") == []
        assert report.dead == ()

        # When: all are replaced
        service.process.send_signal(signal.SIGHUP)
        service.await_logged("workers.replaced")
        report = await_report(
            settings_of,
            lambda report: any(
                "2 workers" in story.title for story in told(report, "replaced")
            ),
            "the replacement of both",
        )

        # Then
        assert [story.title for story in told(report, "replaced")] == [
            f"{host} (2 workers) was replaced by its supervisor."
        ]
        assert told(report, "left") == []
