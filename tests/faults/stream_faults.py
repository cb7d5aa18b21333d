"""What somebody else does to the stream, its consumers and its subjects."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import nats.errors
from nats.js import JetStreamContext, api
from nats.js.errors import APIError

from realtime.jetstream.stream_keeper import FOLLOW_SECONDS
from tests.faults.entries import Incident, Published
from tests.faults.fault import Fault
from tests.faults.instances import Instance
from tests.faults.stand import Stand
from tests.support.streams import Stream

STREAM = "environments-stream"
SUBJECT = "flagsmith.environment."
FILLER_BYTES = 512 * 1024
FORGOTTEN_SECONDS = 1.5 * FOLLOW_SECONDS + 3.0
"""The longest between two looks at the stream, and a busy machine."""


@asynccontextmanager
async def jetstream(stand: Stand) -> AsyncIterator[JetStreamContext]:
    client = await stand.client()
    try:
        yield client.jetstream()
    finally:
        await client.close()


def logged(stand: Stand, *names: str) -> Counter[str]:
    """How often each instance has logged any of these events."""
    return Counter(
        {
            instance.server: sum(len(instance.service.events(name)) for name in names)
            for instance in stand.instances
        }
    )


async def errors(stand: Stand, operation: str) -> Counter[str]:
    """How many of this operation each instance has counted."""
    sample = f'flagsmith_sse_nats_errors_total{{operation="{operation}"}}'
    return Counter(
        {
            instance.server: int(
                await asyncio.to_thread(instance.service.metric, sample)
            )
            for instance in stand.instances
        }
    )


async def consumers_lost(
    stand: Stand, logs: Counter[str], counts: Counter[str]
) -> None:
    """Wait until every process has logged and counted the loss of its consumer, since
    there were these logs and counts."""
    await stand.until(
        lambda: all(
            logged(stand, "bridge.interrupted")[instance.server]
            >= logs[instance.server] + processes(instance)
            for instance in stand.instances
        ),
        "every process to log the loss of its consumer",
    )
    more = await errors(stand, "pull") - counts
    assert all(more[i.server] >= processes(i) for i in stand.instances), more


def processes(instance: Instance) -> int:
    return len(instance.pids())


async def consumers_deleted(stand: Stand, incident: Incident, rng: Random) -> None:
    before = logged(stand, "bridge.interrupted"), await errors(stand, "pull")
    async with jetstream(stand) as js:
        for consumer in await js.consumers_info(STREAM):
            await js.delete_consumer(STREAM, consumer.name)
    incident.healed = stand.now()
    await consumers_lost(stand, *before)


async def consumers_paused(stand: Stand, incident: Incident, rng: Random) -> None:
    before = logged(stand, "bridge.interrupted"), await errors(stand, "pull")
    until = json.dumps({"pause_until": "2099-01-01T00:00:00Z"}).encode()
    client = await stand.client()
    for consumer in await client.jetstream().consumers_info(STREAM):
        subject = f"$JS.API.CONSUMER.PAUSE.{STREAM}.{consumer.name}"
        answer = await client.request(subject, until, timeout=5)
        assert b'"error"' not in answer.data, answer.data
    await client.close()
    incident.healed = stand.now()
    await consumers_lost(stand, *before)


async def purged(stand: Stand, incident: Incident, rng: Random) -> None:
    key = f"purged-{rng.getrandbits(32):x}"
    first = stand.instances[0]
    answer = await asyncio.to_thread(first.service.publish, key, 1)
    assert answer.status_code == 202, answer.text
    assert await replayed(first, key), "it was not kept"
    async with jetstream(stand) as js:
        await js.purge_stream(STREAM)
    incident.destroyed = incident.healed = stand.now()
    for instance in stand.instances:
        while await replayed(instance, key):
            waited = stand.now() - incident.destroyed
            assert waited < FORGOTTEN_SECONDS, "what was purged is still replayed"


async def replayed(instance: Instance, environment: str) -> bool:
    """Whether a new subscriber is sent an update."""
    async with Stream(instance.service.stream_url(environment)) as stream:
        assert (await stream.next_block()).startswith("retry:")
        return (await stream.next_block()).startswith("event:")


async def deleted(stand: Stand, incident: Incident, rng: Random) -> None:
    created = logged(stand, "stream.created").total()
    before = logged(stand, "bridge.interrupted"), await errors(stand, "pull")
    async with jetstream(stand) as js:
        await js.delete_stream(STREAM)
    incident.destroyed = incident.healed = stand.now()
    await stand.until(
        lambda: logged(stand, "stream.created").total() > created,
        "the stream to be created again",
    )
    await consumers_lost(stand, *before)


async def reconfigured(stand: Stand, incident: Incident, rng: Random) -> None:
    before = logged(stand, "stream.updated")
    counted = await errors(stand, "create_jetstream")
    async with jetstream(stand) as js:
        config = (await js.stream_info(STREAM)).config
        # Publishes are refused until it is followed.
        await js.update_stream(
            config.evolve(subjects=["elsewhere.>"], max_age=60, duplicate_window=30)
        )
        incident.healed = stand.now()
        await stand.until(
            lambda: logged(stand, "stream.updated").total() > before.total(),
            "the stream to be brought up to date",
        )
        config = (await js.stream_info(STREAM)).config
        # The age is the operator's.
        assert (config.subjects, config.max_age) == ([SUBJECT + ">"], 60), config
        await js.update_stream(config.evolve(max_age=3600, duplicate_window=120))
    assert await errors(stand, "create_jetstream") - counted, "it was not counted"


async def out_of_storage(stand: Stand, incident: Incident, rng: Random) -> None:
    async with jetstream(stand) as js:
        await js.add_stream(
            api.StreamConfig(
                name="filler", subjects=["filler"], storage=api.StorageType.FILE
            )
        )
        try:
            while True:
                await js.publish("filler", bytes(FILLER_BYTES))
        except APIError:
            # Full, but for less than what it is filled with.
            await _until_refused(stand, js)
        await js.delete_stream("filler")


async def _until_refused(stand: Stand, js: JetStreamContext) -> None:
    """Fill what room is left; wait until every environment was refused."""
    size = FILLER_BYTES
    while size > 64:
        try:
            await js.publish("filler", bytes(size))
        except APIError:
            size //= 2
    began = stand.now()
    stand.hurry()
    await stand.until(
        lambda: all(
            any(update.sent > began and refused(update) for update in updates)
            for updates in stand.ledger.published.values()
        ),
        "publishes to be refused",
    )


def refused(update: Published) -> bool:
    """Whether it was, or kept because others had been."""
    return any(
        answer.kept or b"JetStream refused" in answer.body for answer in update.tries
    )


async def foreign(stand: Stand, incident: Incident, rng: Random) -> None:
    prefix = f"{SUBJECT}foreign-{rng.getrandbits(32):x}"
    messages = {
        f"{prefix}-garbage": rng.randbytes(100),
        f"{prefix}-empty": b"",
        f"{prefix}-text": b'{"updated_at":"tomorrow"}',
        f"{prefix}-list": b"[1,2,3]",
        f"{prefix}-deep": b"[" * 100_000,
        f"{prefix}-huge": b'{"updated_at":1}' + b" " * 900_000,
        f"{prefix}-\u00e9": b'{"updated_at":1}',
        f"{prefix}.$JS": b'{"updated_at":1}',
        f"{prefix}.{'k' * 200}": b'{"updated_at":1}',
    }
    before = logged(stand, "update.skipped")
    counted = await errors(stand, "read")
    interrupted = logged(stand, "bridge.interrupted", "bridge.failed")
    client = await stand.client()
    try:
        for subject, payload in messages.items():
            await client.publish(subject, payload, headers={"Status": "409 No"})
        await client.flush()
    except nats.errors.Error as error:
        raise AssertionError("the foreign messages were not sent") from error
    finally:
        await client.close()
    incident.healed = stand.now()
    await stand.until(
        lambda: all(
            logged(stand, "update.skipped")[instance.server]
            >= before[instance.server] + len(messages) * processes(instance)
            for instance in stand.instances
        ),
        "every process to skip every foreign message",
    )
    more = await errors(stand, "read") - counted
    for instance in stand.instances:
        assert more[instance.server] == len(messages) * processes(instance), more
    assert logged(stand, "bridge.interrupted", "bridge.failed") == interrupted


STREAM_FAULTS = (
    Fault(
        "consumer-deleted",
        "every consumer deleted",
        "made again, logged and counted",
        consumers_deleted,
    ),
    Fault(
        "consumer-paused",
        "every consumer paused: alive, and delivers nothing",
        "noticed within 10 s, made anew, logged and counted",
        consumers_paused,
    ),
    Fault(
        "stream-purged",
        "the stream purged",
        "what was purged is not replayed any more",
        purged,
    ),
    Fault(
        "stream-deleted",
        "the stream deleted",
        "made again, logged and counted",
        deleted,
    ),
    Fault(
        "stream-reconfigured",
        "the stream reconfigured by hand (subjects, age)",
        "subjects restored, logged and counted; age followed",
        reconfigured,
    ),
    Fault(
        "out-of-storage",
        "JetStream out of storage",
        "publishes 503 with the reason or, soon, 202 as kept; recovers",
        out_of_storage,
    ),
    Fault(
        "foreign",
        "garbage, huge and foreign messages on `flagsmith.environment.>`",
        "skipped, logged and counted, nobody disconnected",
        foreign,
    ),
)
