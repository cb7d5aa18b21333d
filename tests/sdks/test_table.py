"""Every SDK refetches its flags after a publish, on both servers."""

import pytest

from tests.sdks.client import shows
from tests.sdks.flagsmith_api import FlagsmithApi
from tests.sdks.table import SDKS, Sdk
from tests.sdks.timestamps import MICROSECOND, USUAL, WHOLE_SECOND, Timestamp
from tests.support.service import Service
from tests.support.streams import Stream


def by_name(value: Sdk | Timestamp) -> str:
    return value.name if isinstance(value, Sdk) else value.published


@pytest.mark.parametrize("timestamp", [USUAL, WHOLE_SECOND], ids=by_name)
@pytest.mark.parametrize("sdk", SDKS, ids=by_name)
async def test_sdk__update_one_microsecond_newer_than_its_flags__refetches_once(
    service: Service,
    ageing_service: Service,
    api: FlagsmithApi,
    sdk: Sdk,
    timestamp: Timestamp,
) -> None:
    # Given
    subject = ageing_service if sdk.needs_end else service
    api.change("red", timestamp.time - MICROSECOND)
    async with sdk.client(subject, api) as client:
        await shows(client, "red")
        # When
        api.change("blue", timestamp.time)
        response = subject.publish(api.environment, timestamp.published)
        response.raise_for_status()
        # Then
        await shows(client, "blue")
    assert api.fetches == 2


@pytest.mark.parametrize("sdk", SDKS, ids=by_name)
async def test_sdk__update_as_old_as_its_flags__does_not_refetch(
    service: Service, ageing_service: Service, api: FlagsmithApi, sdk: Sdk
) -> None:
    # Given
    subject = ageing_service if sdk.needs_end else service
    api.change("red", USUAL.time - MICROSECOND)
    async with (
        sdk.client(subject, api) as client,
        Stream(service.stream_url(api.environment)) as observer,
    ):
        await shows(client, "red")
        api.change("blue", USUAL.time)
        subject.publish(api.environment, USUAL.published).raise_for_status()
        await shows(client, "blue")
        await observer.next_event()
        # When
        subject.publish(api.environment, USUAL.published).raise_for_status()
        await observer.next_event()
        # Then
        later = USUAL.time + MICROSECOND
        api.change("green", later)
        subject.publish(api.environment, later.isoformat()).raise_for_status()
        await shows(client, "green")
    assert api.fetches == 3
