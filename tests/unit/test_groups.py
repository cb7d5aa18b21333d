"""Updates for Channels' groups, with the in-memory channel layer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from structlog.testing import capture_logs

from realtime.conf import RealtimeSettings
from realtime.groups import GroupSender, group_of
from realtime.service import RealtimeService
from realtime.updates import Update
from tests.support.environments import VALID_KEYS


@contextmanager
def running(sender: GroupSender) -> Iterator[None]:
    task = asyncio.create_task(sender.run())
    try:
        yield
    finally:
        task.cancel()


async def receive(layer: InMemoryChannelLayer, channel: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        message: dict[str, Any] = await layer.receive(channel)
        return message


@pytest.mark.parametrize("key", VALID_KEYS.values(), ids=VALID_KEYS.keys())
def test_group_of__any_key__a_name_that_channels_takes(key: str) -> None:
    # When
    group = group_of(key)

    # Then
    assert InMemoryChannelLayer().require_valid_group_name(group)
    assert group == f"environment.{key}" or len(key) > 87


def test_group_of__long_keys__different_groups() -> None:
    # Given
    keys = ["k" * 99, "k" * 100, "k" * 99 + "l"]
    # When / Then
    assert len({group_of(key) for key in keys}) == len(keys)


async def test_offer__several_before_one_is_sent__the_newest_of_each_environment() -> (
    None
):
    # Given
    layer = InMemoryChannelLayer()
    for key in ("one", "two"):
        await layer.group_add(group_of(key), f"channel-{key}")
    sender = GroupSender(layer)
    for sequence in range(1, 4):
        sender.offer(Update("one", f"{sequence}.5"), sequence)
    sender.offer(Update("two", "7"), 4)

    # When
    with running(sender):
        one, two = [await receive(layer, f"channel-{key}") for key in ("one", "two")]

        # Then
        assert one == {
            "type": "environment.updated",
            "environment": "one",
            "updated_at": 3.5,
            "sequence": 3,
        }
        assert (two["updated_at"], two["sequence"]) == (7, 4)

        # When
        sender.offer(Update("one", "8"), 5)

        # Then
        assert (await receive(layer, "channel-one"))["sequence"] == 5


async def test_run__channel_layer_fails__logged_and_the_next_is_sent() -> None:
    # Given
    class FailingOnce(InMemoryChannelLayer):
        failed = asyncio.Event()

        async def group_send(self, group: str, message: dict[str, Any]) -> None:
            if not self.failed.is_set():
                self.failed.set()
                raise ConnectionError("no Redis")
            await super().group_send(group, message)

    layer = FailingOnce()
    await layer.group_add(group_of("key"), "channel")
    sender = GroupSender(layer)
    with capture_logs() as logs, running(sender):
        # When
        sender.offer(Update("key", "1"), 1)
        await layer.failed.wait()
        sender.offer(Update("key", "2"), 2)

        # Then
        assert (await receive(layer, "channel"))["sequence"] == 2
    assert logs == [
        {
            "event": "group.send_failed",
            "log_level": "warning",
            "environment__key": "key",
            "reason": "no Redis",
        }
    ]


def test_service__no_channel_layer__nothing_is_called_for_an_update() -> None:
    # When
    service = RealtimeService(RealtimeSettings())

    # Then
    assert service.bridge.on_update is None
