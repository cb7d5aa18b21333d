"""NATS's user may not do everything: what that is is said, and what can be done without
it is done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from realtime.conf import RealtimeSettings
from realtime.exceptions import PublishFailed
from realtime.fleet.fleet_report import as_json
from realtime.fleet.overview import gather
from realtime.process_publisher import ProcessPublisher
from realtime.updates import Update
from tests.support.nats import NatsServer
from tests.support.service import START_SECONDS, Service, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

INFO = "$JS.API.STREAM.INFO.environments-stream"
GET = "$JS.API.STREAM.MSG.GET.environments-stream"
UPDATES = "flagsmith.environment.>"


class GuardedNats:
    """A nats-server whose user `sse` may publish everything but what is denied."""

    def __init__(self, folder: Path, *denied: str) -> None:
        self._config = folder / "permissions.conf"
        self._write(denied)
        self._server = NatsServer(folder / "nats", arguments=["-c", str(self._config)])
        self._server.start()
        self.stop = self._server.stop

    @property
    def url(self) -> str:
        return self._server.url.replace("://", "://sse:secret@")

    def deny(self, *denied: str) -> None:
        """From now on, without a new connection."""
        self._write(denied)
        self._server.signal(signal.SIGHUP)

    def _write(self, denied: tuple[str, ...]) -> None:
        subjects = ", ".join(f'"{subject}"' for subject in denied)
        self._config.write_text(
            "authorization: {users: [{user: sse, password: secret, "
            f"permissions: {{publish: {{deny: [{subjects}]}}}}}}]}}\n"
        )


@contextmanager
def guarded(folder: Path, *denied: str) -> Iterator[GuardedNats]:
    nats = GuardedNats(folder, *denied)
    try:
        yield nats
    finally:
        nats.stop()


@pytest.mark.parametrize("denied", [(INFO,), (INFO, GET)], ids=["info", "both"])
async def test_session__stream_may_not_be_looked_at__updates_flow(
    single_server: str, tmp_path: Path, environment: str, denied: tuple[str, ...]
) -> None:
    # Given
    with guarded(tmp_path) as nats:
        with running_service("serve", nats.url, tmp_path) as first:
            first.await_ready()
        nats.deny(*denied)

        # When
        with running_service(single_server, nats.url, tmp_path) as service:
            service.await_ready()
            async with Stream(service.stream_url(environment)) as stream:
                assert service.publish(environment, 1).status_code == 202
                assert await stream.next_event() == event("1")
            report = await gather(RealtimeSettings(nats_servers=(nats.url,)))

            # Then
            [unseen] = service.events("stream.unseen")
            assert INFO in unseen["reason"]
            assert not service.events("bridge.interrupted")
            assert report.verdict.level == "degraded"
            assert any(INFO in reason for reason in report.verdict.reasons)


async def test_outbox__stream_may_not_be_looked_at__stored_all_the_same(
    single_server: str, tmp_path: Path, environment: str
) -> None:
    # Given: an update that is kept, because none may be published
    with guarded(tmp_path) as nats:
        with running_service("serve", nats.url, tmp_path) as first:
            first.await_ready()
        nats.deny(INFO, GET, UPDATES)
        with running_service(single_server, nats.url, tmp_path) as service:
            service.await_ready()
            async with Stream(service.stream_url(environment)) as stream:
                answer = service.publish(environment, 1)
                assert answer.status_code == 503 or "Flagsmith-SSE-Kept" in (
                    answer.headers
                )

                # When
                nats.deny(INFO, GET)

                # Then
                assert await stream.next_event(START_SECONDS) == event("1")


async def test_session__may_no_longer_look_at_the_stream__goes_on(
    single_server: str, tmp_path: Path, environment: str
) -> None:
    # Given
    with (
        guarded(tmp_path) as nats,
        running_service(single_server, nats.url, tmp_path) as service,
    ):
        service.await_ready()

        # When
        nats.deny(INFO)
        service.await_logged("stream.unseen")
        async with Stream(service.stream_url(environment)) as stream:
            for number in range(5):
                assert service.publish(environment, number).status_code == 202
                assert await stream.next_event() == event(str(number))

        # Then
        assert not service.events("bridge.interrupted")


@pytest.mark.parametrize(
    "denied",
    [
        "$JS.API.CONSUMER.CREATE.>",
        "$JS.API.CONSUMER.MSG.NEXT.>",
        "$JS.API.STREAM.CREATE.>",
    ],
)
def test_session__needs_what_is_not_permitted__not_ready_and_named(
    tmp_path: Path, denied: str
) -> None:
    # Given
    with (
        guarded(tmp_path, denied) as nats,
        running_service("serve", nats.url, tmp_path) as service,
    ):
        # When
        service.await_logged("bridge.interrupted", 2)

        # Then
        assert not service.is_ready()
        reasons = {one["reason"] for one in service.events("bridge.interrupted")}
        assert all("does not permit" in reason for reason in reasons), reasons
        assert all(denied.rstrip(">") in reason for reason in reasons), reasons


async def test_publish__permission_taken_away__refused_with_the_reason(
    single_server: str, tmp_path: Path, environment: str
) -> None:
    # Given
    with (
        guarded(tmp_path) as nats,
        running_service(
            single_server, nats.url, tmp_path, SSE_ACCEPT_WITHOUT_NATS="false"
        ) as service,
    ):
        service.await_ready()
        assert service.publish(environment, 1).status_code == 202
        settings = RealtimeSettings(nats_servers=(nats.url,))

        # When
        nats.deny(UPDATES)
        eventually(lambda: not publishes(service, environment), what="a refusal")
        report = await gather(settings)

        # Then
        reasons = [one["reason"] for one in service.events("outbox.filling")]
        assert f"does not permit us to publish to {UPDATES}" in reasons[-1]
        assert report.verdict.level == "down"
        assert "No instance can publish" in report.verdict.reasons[0]
        # Who may look only is not to see whole keys.
        assert environment not in as_json(report).decode()

        # When
        nats.deny()

        # Then
        eventually(lambda: publishes(service, environment), what="a publish")


async def test_publish__from_a_project_that_may_not__fails_at_once(
    tmp_path: Path, environment: str
) -> None:
    # Given
    with guarded(tmp_path, UPDATES) as nats:
        publisher = ProcessPublisher(RealtimeSettings(nats_servers=(nats.url,)))

        # When: it would wait for an hour
        publishing = publisher.publish(environment, Update("1"), 3600)

        # Then
        with pytest.raises(PublishFailed, match="does not permit us to publish"):
            publishing.result(START_SECONDS)
        publisher.close()


def publishes(service: Service, environment: str) -> bool:
    return service.publish(environment, 2).status_code == 202
