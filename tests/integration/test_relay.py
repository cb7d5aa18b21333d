"""The endpoint by which one instance has another store an update: only instances may
use it, and it changes nothing for anybody else."""

import time

import pytest
import requests
from msgspec import json

from realtime.intake.relay import SIGNATURE_HEADER, Relayed, sign
from tests.support.service import TOKEN, Service
from tests.support.streams import Stream, event


def body(sender: str = "another", updated_at: str = "7") -> bytes:
    return json.encode(
        Relayed(
            sender=sender,
            updated_at=updated_at,
            dated=False,
            known=None,
            since=time.time(),
            keep=False,
        )
    )


def relay(
    service: Service, environment: str, content: bytes, signature: str
) -> requests.Response:
    return requests.post(
        f"{service.url}/sse/environments/{environment}/relay",
        data=content,
        headers={SIGNATURE_HEADER.decode(): signature},
        timeout=5,
    )


async def test_relay__signed_by_an_instance__stored_and_told(
    service: Service, environment: str
) -> None:
    # Given
    content = body()
    async with Stream(service.stream_url(environment)) as stream:
        # When
        answer = relay(service, environment, content, sign(TOKEN, environment, content))
        # Then
        assert answer.status_code == 202
        assert await stream.next_event() == event("7")


@pytest.mark.parametrize("what", ["nothing", "another secret", "another environment"])
def test_relay__not_signed_for_it__refused(
    service: Service, environment: str, what: str
) -> None:
    # Given
    content = body()
    signature = {
        "nothing": "",
        "another secret": sign("guessed", environment, content),
        "another environment": sign(TOKEN, "other", content),
    }[what]
    # When
    answer = relay(service, environment, content, signature)
    # Then
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", body(updated_at="soon"), body(updated_at="NaN")],
)
def test_relay__signed_and_no_update__refused(
    service: Service, environment: str, content: bytes
) -> None:
    # When
    answer = relay(service, environment, content, sign(TOKEN, environment, content))
    # Then
    assert answer.status_code == 400
