"""Which environment keys the running service takes, on both servers. They become NATS
subjects: a bad one must not get as far as that."""

import time
from urllib.parse import quote, quote_from_bytes

import pytest

from tests.support.environments import INVALID_KEYS, VALID_KEYS
from tests.support.raw_http import PUBLISHER, ask, queue_change
from tests.support.service import Service
from tests.support.streams import Stream, event

BODY = b'{"updated_at":1}'

NOT_DECODED_ONCE = {
    # What is no percent-encoded text, or turns into a valid key if decoded too often.
    "invalid UTF-8": "%FF",
    "invalid UTF-8 after a key": "abc%C3",
    "overlong dot": "a%C0%AEb",
    "surrogate": "%ED%A0%80",
    "letter, encoded twice": "%2561bc",
    "wildcard, encoded twice": "%252A",
    "line feed, encoded twice": "%250A",
    "broken encoding": "a%zz",
    "unfinished encoding": "a%4",
    "slash": "a/b",
    "parent folder": "../abc",
    "no segment": "abc//def",
}


def encoded(text: str) -> str:
    """Every byte of `text` percent-encoded: nothing on the way can mistake it."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


INVALID_TARGETS = {
    **{name: encoded(key) for name, key in INVALID_KEYS.items() if len(key) < 1000},
    **{
        f"{name}, as a client sends it": quote(key, safe="*>$+:.,")
        for name, key in INVALID_KEYS.items()
        if quote(key, safe="*>$+:.,") != encoded(key)
    },
    **NOT_DECODED_ONCE,
}


def is_not_found(service: Service, method: str, target: str) -> None:
    """Assert the documented 404."""
    headers = PUBLISHER if method == "POST" else {}
    body = BODY if method == "POST" else b""
    answer = ask(service, method, target, headers, body)
    assert (answer.status, answer.json) == (404, {"detail": "Not found."})
    assert "location" not in answer.headers


@pytest.mark.parametrize("name", VALID_KEYS)
async def test_environment__valid_key__works_end_to_end(
    service: Service, name: str
) -> None:
    # Given
    key, number = VALID_KEYS[name], str(time.time_ns())
    async with Stream(service.stream_url(key)) as stream:
        # When
        answer = queue_change(service, key, b'{"updated_at":%s}' % number.encode())
        # Then
        assert (stream.status, answer.status) == (200, 202)
        # The first may be of an earlier test: these keys are not fresh.
        while await stream.next_event() != event(number):
            pass


@pytest.mark.parametrize("name", INVALID_TARGETS)
def test_environment__invalid_key__404_on_both_endpoints(
    service: Service, name: str
) -> None:
    # Given
    prefix = f"/sse/environments/{INVALID_TARGETS[name]}"
    # When / Then
    is_not_found(service, "GET", f"{prefix}/stream")
    is_not_found(service, "POST", f"{prefix}/queue-change")


@pytest.mark.parametrize("name", ["wildcard", "full wildcard", "encoded twice"])
async def test_environment__published_to_a_wildcard__nobody_hears_of_it(
    service: Service, environment: str, name: str
) -> None:
    # Given
    async with Stream(service.stream_url(environment)) as stream:
        await stream.next_block()
        # When
        refused = queue_change(service, encoded(INVALID_KEYS[name]), BODY)
        accepted = service.publish(environment, 2)
        received = await stream.next_event()
    # Then
    assert (refused.status, accepted.status_code) == (404, 202)
    assert received == event("2")


async def test_environment__percent_encoded__means_the_decoded_one(
    service: Service, environment: str
) -> None:
    # Given
    async with (
        Stream(service.stream_url(environment)) as plain,
        Stream(service.stream_url(encoded(environment))) as percent,
    ):
        # When
        first = queue_change(
            service, f"%{ord(environment[0]):x}{environment[1:]}", BODY
        )
        received = [await plain.next_event(), await percent.next_event()]
    # Then
    assert first.status == 202
    assert received == [event("1"), event("1")]


@pytest.mark.parametrize(
    "key", ["caf\xe9".encode("latin-1"), "caf\xe9".encode(), b"\xff"]
)
def test_environment__bytes_that_are_not_http__refused(
    service: Service, key: bytes
) -> None:
    # Given
    target = b"/sse/environments/%s/queue-change" % key
    # When
    answer = ask(service, "POST", target, PUBLISHER, BODY)
    # Then
    assert answer.status in (400, 404), quote_from_bytes(key)


@pytest.mark.parametrize(
    "target",
    [
        "/sse",
        "/sse/",
        "/sse/environments",
        "/sse/environments/abc",
        "/sse/environments/abc/",
        "/sse/environments/stream",
        "/sse/environments/abc/stream/more",
        "/sse/environments/abc/Stream",
        "/sse/environments/abc/queue-changes",
        "/sse/environments/abc/stream%0A",
        "/sse/environments/abc/queue-change%0A",
        "/sse/environment/abc/stream",
    ],
)
def test_environment__no_such_endpoint__404(service: Service, target: str) -> None:
    # Given / When / Then
    is_not_found(service, "GET", target)
    is_not_found(service, "POST", target)
