"""The queue-change endpoint of the running service, on both servers: what is taken,
what is refused with which answer, and that nobody hears of what was refused."""

import asyncio

import pytest

from tests.support.raw_http import (
    PUBLISHER,
    Answer,
    Connection,
    ask,
    chunked,
    names,
    padded,
    queue_change,
)
from tests.support.service import TOKEN, Service
from tests.support.streams import Stream, event
from tests.support.updates import ISO_STRINGS, NUMBERS, REFUSED_BODIES

NO_CREDENTIALS = "Authentication credentials were not provided."
UNAUTHORISED: dict[str | None, str] = {
    None: NO_CREDENTIALS,
    "": NO_CREDENTIALS,
    TOKEN: NO_CREDENTIALS,
    f"Bearer {TOKEN}": NO_CREDENTIALS,
    f"Tokens {TOKEN}": NO_CREDENTIALS,
    "Token": "Invalid token header. No credentials provided.",
    "Token ": "Invalid token header. No credentials provided.",
    f"Token {TOKEN} {TOKEN}": (
        "Invalid token header. Token string should not contain spaces."
    ),
    "Token wrong": "Invalid token.",
    f"Token {TOKEN[:-1]}": "Invalid token.",
    f"Token {TOKEN}x": "Invalid token.",
    f"Token {TOKEN.upper()}": "Invalid token.",
    f"Token {TOKEN}\xe9": (
        "Invalid token header. Token string should not contain invalid characters."
    ),
}


async def refused(
    service: Service,
    environment: str,
    body: bytes = b'{"updated_at":1}',
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> Answer:
    """The answer to a publish of which a subscriber must not hear: the first event that
    it sees is the one published afterwards."""
    async with Stream(service.stream_url(environment)) as stream:
        await stream.next_block()
        answer = ask(
            service,
            method,
            f"/sse/environments/{environment}/queue-change",
            PUBLISHER if headers is None else headers,
            body,
        )
        assert service.publish(environment, 999).status_code == 202
        assert await stream.next_event() == event("999")
    return answer


@pytest.mark.parametrize(("text", "seconds"), ISO_STRINGS.items())
async def test_queue_change__iso_string__arrives_as_float_seconds(
    service: Service, environment: str, text: str, seconds: str
) -> None:
    # Given
    async with Stream(service.stream_url(environment)) as stream:
        # When
        response = service.publish(environment, text)
        received = await stream.next_event()
    # Then
    assert (response.status_code, response.content) == (202, b"")
    assert received == event(seconds)


@pytest.mark.parametrize("number", NUMBERS)
async def test_queue_change__number__arrives_as_written(
    service: Service, environment: str, number: str
) -> None:
    # Given
    body = f' {{ "by" : [1, {{}}], "updated_at"\n:\t{number} }} '.encode()
    async with Stream(service.stream_url(environment)) as stream:
        # When
        answer = queue_change(service, environment, body)
        received = await stream.next_event()
    # Then
    assert (answer.status, answer.body) == (202, b"")
    assert received == event(number)


@pytest.mark.parametrize("case", REFUSED_BODIES)
async def test_queue_change__senseless_body__400_naming_field_and_reason(
    service: Service, environment: str, case: str
) -> None:
    # Given
    body, field, reason = REFUSED_BODIES[case]
    # When
    answer = await refused(service, environment, body)
    # Then
    assert answer.status == 400
    assert list(answer.json) == [field]
    reasons = answer.json[field] if field != "detail" else [answer.json[field]]
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["lists", "objects"])
async def test_queue_change__nested_deeply__400(
    service: Service, environment: str, opening: bytes
) -> None:
    # Given
    depth = 2000 if opening == b"[" else 600
    closing = b"]" if opening == b"[" else b"}"
    body = b'{"updated_at":' + opening * depth + b"1" + closing * depth + b"}"
    # When
    answer = await refused(service, environment, body)
    # Then
    assert answer.status == 400
    assert answer.json.keys() <= {"detail", "updated_at"}


@pytest.mark.parametrize(("authorization", "detail"), UNAUTHORISED.items())
async def test_queue_change__no_valid_token__401_as_drf(
    service: Service, environment: str, authorization: str | None, detail: str
) -> None:
    # Given
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    # When
    answer = await refused(service, environment, headers=headers)
    # Then
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Token"
    assert answer.json == {"detail": detail}


@pytest.mark.parametrize("scheme", ["token", "TOKEN", "Token ", "tOKEN\t"])
def test_queue_change__scheme_spelt_otherwise__202(
    service: Service, environment: str, scheme: str
) -> None:
    # Given
    headers = {**PUBLISHER, "Authorization": f"{scheme} {TOKEN}"}
    # When
    answer = queue_change(service, environment, b'{"updated_at":1}', headers)
    # Then
    assert answer.status == 202


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "text/json",
        "charset=utf-8; application/json",
    ],
)
async def test_queue_change__content_type_not_json__415_as_drf(
    service: Service, environment: str, content_type: str | None
) -> None:
    # Given
    headers = {"Authorization": PUBLISHER["Authorization"]}
    if content_type is not None:
        headers["Content-Type"] = content_type
    # When
    answer = await refused(service, environment, headers=headers)
    # Then
    assert answer.status == 415
    assert answer.json == {
        "detail": f'Unsupported media type "{content_type or ""}" in request.'
    }


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
    ],
)
def test_queue_change__content_type_json__202(
    service: Service, environment: str, content_type: str
) -> None:
    # Given
    headers = {**PUBLISHER, "Content-Type": content_type}
    # When
    answer = queue_change(service, environment, b'{"updated_at":1}', headers)
    # Then
    assert answer.status == 202


@pytest.mark.parametrize("transfer", ["declared", "streamed"])
def test_queue_change__body_of_4096_bytes__202(
    service: Service, environment: str, transfer: str
) -> None:
    # Given
    body, headers = padded(b'{"updated_at":1}', 4096), PUBLISHER
    if transfer == "streamed":
        body = chunked(body[:10], body[10:])
        headers = {**PUBLISHER, "Transfer-Encoding": "chunked"}
    # When
    answer = queue_change(service, environment, body, headers)
    # Then
    assert answer.status == 202


@pytest.mark.parametrize("transfer", ["declared", "streamed"])
async def test_queue_change__body_over_4_kb__413(
    service: Service, environment: str, transfer: str
) -> None:
    # Given
    body, headers = padded(b'{"updated_at":1}', 4097), PUBLISHER
    if transfer == "streamed":
        body = chunked(body[:16], body[16:])
        headers = {**PUBLISHER, "Transfer-Encoding": "chunked"}
    # When
    answer = await refused(service, environment, body, headers)
    # Then
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert answer.json == {"detail": "Request body too large: 4096 bytes at most."}


@pytest.mark.parametrize("transfer", ["declared", "streamed"])
def test_queue_change__body_over_4_kb_unfinished__413_and_not_read_further(
    service: Service, environment: str, transfer: str
) -> None:
    # Given
    # Daphne has read the whole body before it tells anyone of the request.
    finished = service.server == "daphne"
    if transfer == "declared":
        body = b" " * (100_000 if finished else 1)
        headers = {**PUBLISHER, "Content-Length": "100000"}
    else:
        body = chunked(b" " * 5000, end=finished)
        headers = {**PUBLISHER, "Transfer-Encoding": "chunked"}
    with Connection(service.url) as connection:
        # When
        target = f"/sse/environments/{environment}/queue-change"
        answer = connection.request("POST", target, headers, body)
        # Then
        assert answer.status == 413
        assert finished or connection.closed_by_server()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_queue_change__wrong_method__405_with_allow(
    service: Service, environment: str, method: str
) -> None:
    # Given / When
    answer = await refused(service, environment, method=method)
    # Then
    assert answer.status == 405
    assert names(answer.headers["allow"]) == {"post", "options"}
    if method != "HEAD":
        assert answer.json == {"detail": f'Method "{method}" not allowed.'}


async def test_queue_change__trailing_slash__answered_as_without(
    service: Service, environment: str
) -> None:
    # Given
    target = f"/sse/environments/{environment}/queue-change/"
    async with Stream(service.stream_url(environment)) as stream:
        # When
        answer = ask(service, "POST", target, PUBLISHER, b'{"updated_at":1}')
        received = await stream.next_event()
    # Then
    assert answer.status == 202
    assert received == event("1")


def test_queue_change__several_on_one_connection__each_answered(
    service: Service, environment: str
) -> None:
    # Given
    target = f"/sse/environments/{environment}/queue-change"
    with Connection(service.url) as connection:
        # When
        statuses = [
            connection.request("POST", target, headers, body).status
            for headers, body in [
                (PUBLISHER, b'{"updated_at":1}'),
                (PUBLISHER, b"nonsense"),
                ({}, b'{"updated_at":2}'),
                ({**PUBLISHER, "Content-Type": "text/plain"}, b'{"updated_at":3}'),
                (PUBLISHER, b'{"updated_at":4}'),
            ]
        ]
    # Then
    assert statuses == [202, 400, 401, 415, 202]


async def test_queue_change__client_expects_100_continue__gets_it_before_the_answer(
    service: Service, environment: str
) -> None:
    # Given
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    body = b'{"updated_at":1}'
    writer.write(
        f"POST /sse/environments/{environment}/queue-change HTTP/1.1\r\n"
        f"Host: x\r\nAuthorization: Token {TOKEN}\r\n"
        "Content-Type: application/json\r\nExpect: 100-continue\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
    )

    # When
    async with asyncio.timeout(5):
        permission = await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    # Then
    assert permission.startswith(b"HTTP/1.1 100 ")
    assert answer.startswith(b"HTTP/1.1 202 ")
