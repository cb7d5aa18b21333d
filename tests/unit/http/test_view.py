"""Requests and responses of the endpoints that bypass Django, without a server."""

import json
from collections.abc import Iterable
from http import HTTPStatus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from realtime.endpoints.misdirected import NotFound
from realtime.http.asgi import Message, Receive, Scope
from realtime.http.authentication import TokenAuthentication
from realtime.http.cors import cors_headers
from realtime.http.view import (
    HttpError,
    Response,
    View,
    check_method,
    header,
    read_body,
    unavailable,
)
from realtime.views import check_headers

Headers = dict[bytes, bytes]


def scope_of(method: str = "GET", headers: Headers | None = None) -> Scope:
    """The ASGI scope of a request."""
    return {
        "type": "http",
        "method": method,
        "path": "/livez",
        "headers": list((headers or {}).items()),
    }


class Sent:
    """An ASGI `send` that keeps the response."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> object:
        return self.messages[0]["status"]

    @property
    def headers(self) -> Headers:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> object:
        return self.messages[1]["body"]


def receive_of(messages: Iterable[Message]) -> Receive:
    """An ASGI `receive` of these messages, and of none after them."""
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    return receive


def parts(*bodies: bytes) -> list[Message]:
    """The messages of a request body that comes in these pieces."""
    last = len(bodies) - 1
    return [
        {"type": "http.request", "body": body, "more_body": number < last}
        for number, body in enumerate(bodies)
    ]


async def answer(response: Response, scope: Scope | None = None) -> Sent:
    """What is sent for `response`."""
    sent = Sent()
    await response(scope or scope_of(), sent)
    return sent


@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        (b"", b"", None),
        (b"bytes", b"bytes", None),
        ({"status": "ok"}, b'{"status":"ok"}', b"application/json"),
        ({"detail": "caf\xe9"}, b'{"detail":"caf\\u00e9"}', b"application/json"),
        ({"detail": "\ud800"}, b'{"detail":"\\ud800"}', b"application/json"),
    ],
)
async def test_response__body__sent_whole_with_length(
    body: object, content: bytes, content_type: bytes | None
) -> None:
    # Given
    response = Response(HTTPStatus.OK, body, ((b"x-other", b"1"),))
    # When
    sent = await answer(response)
    # Then
    assert sent.status == 200
    assert sent.body == content
    assert sent.headers[b"content-length"] == str(len(content)).encode()
    assert sent.headers.get(b"content-type") == content_type
    assert sent.headers[b"x-other"] == b"1"
    assert [message["type"] for message in sent.messages] == [
        "http.response.start",
        "http.response.body",
    ]
    assert not sent.messages[1]["more_body"]


async def test_http_error__text__drf_detail() -> None:
    # Given
    error = HttpError(HTTPStatus.BAD_REQUEST, "No.", ((b"x-other", b"1"),), close=True)
    # When
    sent = await answer(error.response)
    # Then
    assert sent.status == 400
    assert sent.body == b'{"detail":"No."}'
    assert sent.headers[b"x-other"] == b"1"
    assert sent.headers[b"connection"] == b"close"


async def test_http_error__fields__as_they_are() -> None:
    # Given
    error = HttpError(HTTPStatus.BAD_REQUEST, {"updated_at": ["No."]})
    # When
    sent = await answer(error.response)
    # Then
    assert sent.body == b'{"updated_at":["No."]}'
    assert b"connection" not in sent.headers


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(0, b"1"), (0.2, b"1"), (1, b"1"), (1.01, b"2"), (2, b"2"), (59.5, b"60")],
)
def test_unavailable__retry_after__whole_seconds_rounded_up(
    retry_after: float, seconds: bytes
) -> None:
    # Given / When
    response = unavailable("Later.", retry_after).response
    # Then
    assert response.status == 503
    assert (b"retry-after", seconds) in response.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_check_method__allowed__none(method: str) -> None:
    # Given / When / Then
    assert check_method(scope_of(method), ("GET", "HEAD")) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "get", "TRACE", ""])
def test_check_method__not_allowed__405(method: str) -> None:
    # Given / When
    with pytest.raises(HttpError) as raised:
        check_method(scope_of(method), ("GET", "HEAD"))
    # Then
    assert raised.value.response.status == 405
    assert (b"allow", b"GET, HEAD, OPTIONS") in raised.value.response.headers


def test_check_method__options__allow() -> None:
    # Given / When
    response = check_method(scope_of("OPTIONS"), ("POST",))
    # Then
    assert response is not None
    assert response.status == 200
    assert (b"allow", b"POST, OPTIONS") in response.headers


def test_header__several__first_value() -> None:
    # Given
    scope = scope_of()
    scope["headers"] = [(b"a", b"1"), (b"b", b"2"), (b"b", b"3")]
    # When / Then
    assert header(scope, b"b") == b"2"
    assert header(scope, b"c") is None


@pytest.mark.parametrize(
    "bodies",
    [(b"",), (b"0123456789",), (b"01234", b"56789"), (b"", b"0123456789", b"")],
)
async def test_read_body__within_the_limit__whole(bodies: tuple[bytes, ...]) -> None:
    # Given / When
    body = await read_body(receive_of(parts(*bodies)), 10)
    # Then
    assert body == b"".join(bodies)


async def test_read_body__more_body_left_out__ends() -> None:
    # Given
    receive = receive_of([{"type": "http.request", "body": b"1"}])
    # When / Then
    assert await read_body(receive, 10) == b"1"


@pytest.mark.parametrize(
    "bodies", [(b"0123456789a",), (b"01234", b"56789a"), (b"01234", b"567890", b"1")]
)
async def test_read_body__over_the_limit__413_without_reading_on(
    bodies: tuple[bytes, ...],
) -> None:
    # Given
    messages = parts(*bodies, b"never read")[:-1]
    # When
    with pytest.raises(HttpError) as raised:
        await read_body(receive_of(messages), 10)
    # Then
    assert raised.value.response.status == 413
    assert (b"connection", b"close") in raised.value.response.headers


async def test_read_body__client_gone__400() -> None:
    # Given
    messages = [*parts(b"0", b"1")[:1], {"type": "http.disconnect"}]
    # When
    with pytest.raises(HttpError) as raised:
        await read_body(receive_of(messages), 10)
    # Then
    assert raised.value.response.status == 400


class Teapot(View):
    """Refuses whatever is allowed."""

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        raise HttpError(HTTPStatus.IM_A_TEAPOT, "Short and stout.")


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 418), ("HEAD", 418), ("OPTIONS", 200), ("PUT", 405)]
)
async def test_view__any_method__answered_in_one_place(
    method: str, status: int
) -> None:
    # Given
    sent = Sent()
    # When
    await Teapot()(scope_of(method), receive_of([]), sent)
    # Then
    assert sent.status == status


async def test_not_found__any_method__404() -> None:
    # Given
    sent = Sent()
    # When
    await NotFound()(scope_of("DELETE"), receive_of([]), sent)
    # Then
    assert (sent.status, sent.body) == (404, b'{"detail":"Not found."}')


@given(st.binary() | st.binary().map(b"Token ".__add__))
@example(b"Token \xff")
@example(b"Token\x00secret")
def test_token_authentication__any_header__401_unless_it_is_the_secret(
    value: bytes,
) -> None:
    # Given
    authentication = TokenAuthentication(["other", "secret"])
    # When
    with pytest.raises(HttpError) as raised:
        authentication.authenticate(scope_of(headers={b"authorization": value}))
    # Then
    assert raised.value.response.status == 401
    assert (b"www-authenticate", b"Token") in raised.value.response.headers
    # Never told back.
    assert "secret" not in json.dumps(raised.value.response.body)


@pytest.mark.parametrize("value", [b"Token secret", b"tOkEn  secret", b"Token\tsecret"])
def test_token_authentication__the_secret__passes(value: bytes) -> None:
    # Given / When / Then
    TokenAuthentication(["other", "secret"]).authenticate(
        scope_of(headers={b"authorization": value})
    )


@given(st.integers(4097, 10**30).map(str) | st.just("9" * 5000))
@example("4097")
def test_check_headers__declared_too_large__413(length: str) -> None:
    # Given
    headers = {b"content-type": b"application/json", b"content-length": length.encode()}
    # When
    with pytest.raises(HttpError) as raised:
        check_headers(scope_of("POST", headers))
    # Then
    assert raised.value.response.status == 413


@given(st.binary().filter(lambda value: not value.strip().lower().startswith(b"app")))
def test_check_headers__any_other_content_type__415(value: bytes) -> None:
    # Given
    scope = scope_of("POST", {b"content-type": value, b"content-length": b"9999"})
    # When
    with pytest.raises(HttpError) as raised:
        check_headers(scope)
    # Then
    assert raised.value.response.status == 415
    json.dumps(raised.value.response.body).encode()


def test_cors_headers__django_cors_headers_settings__govern(settings: Settings) -> None:
    # Given
    scope = scope_of(headers={b"origin": b"https://one.example.com"})
    everyone = dict(cors_headers(scope))
    # When
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.CORS_ALLOWED_ORIGINS = ["https://two.example.com"]
    stranger = dict(cors_headers(scope))
    friend = dict(
        cors_headers(scope_of(headers={b"origin": b"https://two.example.com"}))
    )
    # Then
    assert everyone[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-origin" not in stranger
    assert friend[b"access-control-allow-origin"] == b"https://two.example.com"
    assert everyone[b"vary"] == stranger[b"vary"] == friend[b"vary"] == b"origin"


@given(st.binary(), st.text())
def test_cors_headers__any_origin_and_path__vary(origin: bytes, path: str) -> None:
    # Given
    scope = {**scope_of(headers={b"origin": origin}), "path": "/" + path}
    # When
    headers = dict(cors_headers(scope))
    # Then
    assert headers[b"vary"] == b"origin"
