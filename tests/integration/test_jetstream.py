"""What nats-server itself says of the stream and of our consumers."""

import json
from pathlib import Path
from typing import Any

import nats as nats_py
import pytest

from realtime.conf import RealtimeSettings
from realtime.fleet.overview import gather
from tests.support.nats import NatsServer
from tests.support.service import running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

SECOND = 10**9
DOCUMENTED = {
    "name": "environments-stream",
    "subjects": ["flagsmith.environment.>"],
    "retention": "limits",
    "discard": "old",
    "max_msgs_per_subject": 1,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 3600 * SECOND,
    "duplicate_window": 120 * SECOND,
    "storage": "file",
    "num_replicas": 1,
    "deny_delete": False,
    "deny_purge": False,
    "allow_rollup_hdrs": False,
}


async def create_stream(nats: NatsServer, **changes: Any) -> None:
    """Make the stream before the service does, as an older deployment would have."""
    client = await nats_py.connect(nats.url)
    config = {**DOCUMENTED, **changes}
    answer = await client.request(
        "$JS.API.STREAM.CREATE.environments-stream", json.dumps(config).encode()
    )
    assert "error" not in json.loads(answer.data), answer.data
    await client.close()


def documented_part(nats: NatsServer) -> dict[str, Any]:
    config = nats.stream()["config"]
    return {name: config[name] for name in DOCUMENTED}


def test_stream__fresh_server__documented_configuration(
    server: str, nats: NatsServer, tmp_path: Path
) -> None:
    # When
    with running_service(server, nats.url, tmp_path) as service:
        service.await_ready()

        # Then
        assert documented_part(nats) == DOCUMENTED


async def test_consumer__updates_delivered__one_a_process_and_its_ack_floor_moves(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with (
        running_service("serve", nats.url, tmp_path) as first,
        running_service("daphne", nats.url, tmp_path) as second,
    ):
        first.await_ready()
        second.await_ready()
        consumers = nats.stream()["consumer_detail"]
        assert len(consumers) == 2
        assert all(c["config"]["ack_policy"] == "all" for c in consumers)

        # When
        async with Stream(second.stream_url(environment)) as stream:
            for number in range(1, 6):
                assert first.publish(environment, number).status_code == 202
                assert await stream.next_event() == event(str(number))

        # Then
        def all_acknowledged() -> bool:
            return all(
                consumer["ack_floor"]["stream_seq"] == 5
                and not consumer["num_ack_pending"]
                for consumer in nats.stream()["consumer_detail"]
            )

        eventually(all_acknowledged, what="the ack floors")

    # Then: nothing is left of them
    assert not nats.stream().get("consumer_detail")


async def test_stream__older_and_compatible__brought_up_to_date(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    await create_stream(
        nats,
        description="of an operator",
        subjects=["flagsmith.environment.*"],
        max_msgs_per_subject=5,
        max_age=600 * SECOND,
    )

    # When
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()

        # Then
        assert documented_part(nats) == DOCUMENTED
        assert nats.stream()["config"]["description"] == "of an operator"


CHANGES_WHAT_ARRIVES: dict[str, dict[str, Any]] = {
    "subject_transform": {
        "subject_transform": {
            "src": "flagsmith.environment.*",
            "dest": "flagsmith.environment.other.{{wildcard(1)}}",
        }
    },
    "sources": {"sources": [{"name": "other"}]},
    "mirror": {
        "mirror": {"name": "other"},
        "subjects": None,
        "duplicate_window": 0,
    },
    "republish": {"republish": {"src": ">", "dest": "copy.>"}},
    "no_ack": {"no_ack": True},
}


@pytest.mark.parametrize("field", CHANGES_WHAT_ARRIVES)
async def test_stream__field_that_changes_what_arrives__taken_away(
    nats: NatsServer, tmp_path: Path, environment: str, field: str
) -> None:
    # Given
    await create_stream(nats, **CHANGES_WHAT_ARRIVES[field])

    # When
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            assert service.publish(environment, 1).status_code == 202

            # Then
            assert await stream.next_event() == event("1")
        assert not nats.stream()["config"].get(field)
        [updated] = service.events("stream.updated")
        assert field in updated["fields"]


async def test_stream__marks_what_it_deletes__left_alone_and_not_delivered(
    nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given: JetStream itself allows rollups then
    await create_stream(
        nats,
        max_age=SECOND,
        duplicate_window=SECOND,
        allow_rollup_hdrs=True,
        allow_msg_ttl=True,
        subject_delete_marker_ttl=60 * SECOND,
    )
    with running_service(
        "serve", nats.url, tmp_path, NATS_STREAM_MAX_AGE_SECONDS="1"
    ) as service:
        service.await_ready()

        # When
        service.publish(environment, 1)
        eventually(lambda: nats.stream()["state"]["last_seq"] == 2, what="the mark")
        client = await nats_py.connect(nats.url)
        await client.publish(f"flagsmith.environment.{environment}", b"garbage")
        await client.close()
        eventually(lambda: service.events("update.skipped"), what="what came after it")

        # Then
        assert not service.events("stream.updated")
        [skipped] = service.events("update.skipped")
        assert "JSON" in skipped["reason"]


async def test_stream__instances_with_different_settings__each_applies_them_once(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service("serve", nats.url, tmp_path) as first:
        first.await_ready()

        # When
        with running_service(
            "serve", nats.url, tmp_path, NATS_STREAM_MAX_AGE_SECONDS="600"
        ) as second:
            second.await_ready()
            first.await_logged("stream.differs")
            # Another session applies nothing.
            nats.kill()
            second.await_ready(False)
            nats.start()
            for service in (first, second):
                service.await_logged("nats.connected", 2)
                service.await_ready()

            # Then
            assert nats.stream()["config"]["max_age"] == 600 * SECOND
            assert not first.events("stream.updated")
            assert len(second.events("stream.updated")) == 1
            [differs] = first.events("stream.differs")
            assert f"max_age is {600 * SECOND} instead of" in differs["settings"][0]
            report = await gather(RealtimeSettings(nats_servers=(nats.url,)))
            [disagreeing] = [one for one in report.instances if one.differences]
            assert disagreeing.pid == first.process.pid
            assert any(
                disagreeing.name in reason and "NATS_STREAM_MAX_AGE_SECONDS" in reason
                for reason in report.verdict.reasons
            )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"storage": "memory"}, "storage"),
        ({"deny_purge": True}, "deny_purge"),
    ],
)
async def test_stream__cannot_be_brought_up_to_date__refused_naming_the_field(
    nats: NatsServer, tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    # Given
    await create_stream(nats, **changes)

    # When
    with running_service("serve", nats.url, tmp_path) as service:
        [refusal, *_] = eventually(
            lambda: service.events("bridge.interrupted"), what="the refusal"
        )

        # Then
        assert not service.is_ready()
        assert f"environments-stream exists with {field} " in refusal["reason"]
        assert "cannot be changed" in refusal["reason"]


def test_stream__more_replicas_than_servers__refused_with_the_reason(
    nats: NatsServer, tmp_path: Path
) -> None:
    # When
    with running_service(
        "serve", nats.url, tmp_path, NATS_STREAM_REPLICAS="3"
    ) as service:
        [refusal, *_] = eventually(
            lambda: service.events("bridge.interrupted"), what="the refusal"
        )

        # Then
        assert "replicas > 1 not supported" in refusal["reason"]


BYTES_DEMANDED = """
jetstream {}
accounts { A {
  users: [{user: u, password: p}]
  jetstream { max_memory: 10M, max_store: 10M, max_bytes_required: true }
} }
no_auth_user: u
"""


@pytest.mark.parametrize("limit", ["0", "1048576"])
def test_stream__account_demands_a_limit_of_bytes__made_with_the_setting_for_it(
    tmp_path: Path, limit: str
) -> None:
    # Given
    config = tmp_path / "nats.conf"
    config.write_text(BYTES_DEMANDED)
    nats = NatsServer(tmp_path / "nats", arguments=["-c", str(config)])
    nats.start()
    try:
        # When
        with running_service(
            "serve", nats.url, tmp_path, NATS_STREAM_MAX_BYTES=limit
        ) as service:
            if limit == "0":
                [refusal, *_] = eventually(
                    lambda: service.events("bridge.interrupted"), what="the refusal"
                )
                # Then
                assert "set NATS_STREAM_MAX_BYTES" in refusal["reason"]
                return
            service.await_ready()
        # Then
        assert nats.stream()["config"]["max_bytes"] == int(limit)
    finally:
        nats.stop()


async def test_stream__update_dropped_by_age__later_subscriber_gets_nothing(
    server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        server,
        nats.url,
        tmp_path,
        NATS_STREAM_MAX_AGE_SECONDS="1.5",
        SSE_KEEPALIVE_SECONDS="1",
    ) as service:
        service.await_ready()
        service.publish(environment, 5)
        async with Stream(service.stream_url(environment)) as early:
            assert await early.next_event() == event("5")

        # When
        eventually(lambda: nats.stream()["state"]["messages"] == 0, what="the drop")
        async with Stream(service.stream_url(environment)) as late:
            blocks = [await late.next_block(), await late.next_block()]

        # Then
        assert blocks[0].startswith("retry:")
        assert blocks[1] == ": keep-alive\n\n"


async def test_message__foreign_or_malformed__logged_counted_and_skipped(
    single_server: str, nats: NatsServer, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(single_server, nats.url, tmp_path) as service:
        service.await_ready()
        client = await nats_py.connect(nats.url)
        subject = f"flagsmith.environment.{environment}"
        # Each on a subject of its own: a newer message replaces one not yet read.
        foreign = [
            (subject, b"garbage"),
            (f"{subject}-empty", b""),
            (f"{subject}-text", b'{"updated_at":"x"}'),
            (f"{subject}-huge", b'{"updated_at":1}' + b" " * 100_000),
            ("flagsmith.environment.$weird", b'{"updated_at":1}'),
        ]

        # When
        async with Stream(service.stream_url(environment)) as stream:
            for where, payload in foreign:
                await client.publish(where, payload)
            await client.publish(f"{subject}-status", b"", headers={"Status": "409"})
            # Past nats-py's own checks: NATS takes any byte but white space.
            for odd in (b"\x0b", b"\x0c", b"\xff", b"\x85", b"\x1b[2J"):
                line = b"PUB %s-%b 1\r\nx\r\n" % (subject.encode(), odd)
                client._transport.write(line)  # type: ignore[union-attr]
            await client.flush()
            eventually(
                lambda: len(service.events("update.skipped")) > len(foreign) + 5,
                what="all of them skipped",
            )
            await client.publish(subject, b'{ "updated_at" : 7.5 }')
            received = await stream.next_event()
        await client.close()

        # Then
        assert received == event("7.5")
        assert len(service.events("update.skipped")) == len(foreign) + 6
        errors = 'flagsmith_sse_nats_errors_total{operation="read"}'
        assert service.metric(errors) == len(foreign) + 6
        eventually(
            lambda: all(
                consumer["ack_floor"]["stream_seq"] == len(foreign) + 7
                for consumer in nats.stream()["consumer_detail"]
            ),
            what="the ack floor",
        )
        assert not service.events("bridge.interrupted")
