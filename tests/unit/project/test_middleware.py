"""Which peers' forwarded headers count."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from flagsmith_sse.middleware import ForwardedMiddleware


def answered(peer: str) -> tuple[HttpRequest, HttpResponse]:
    """A request by `peer` that says it came by https, and the response to it."""
    request = RequestFactory().get(
        "/", REMOTE_ADDR=peer, headers={"X-Forwarded-Proto": "https"}
    )

    def view(request: HttpRequest) -> HttpResponse:
        response = HttpResponse()
        response.set_cookie("session", "x")
        return response

    response = ForwardedMiddleware(view)(request)
    assert isinstance(response, HttpResponse)
    return request, response


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        (["127.0.0.1"], "127.0.0.1"),
        (["127.0.0.1"], "::ffff:127.0.0.1"),
        (["10.0.0.0/8", "fd00::/8"], "10.1.2.3"),
        (["10.0.0.0/8", "fd00::/8"], "fd00::1"),
        (["*"], ""),
    ],
)
def test_forwarded__from_a_trusted_peer__https_and_secure_cookies(
    settings: Settings, trusted: list[str], peer: str
) -> None:
    # Given
    settings.FORWARDED_ALLOW_IPS = trusted
    # When
    request, response = answered(peer)
    # Then
    assert request.is_secure()
    assert response.cookies["session"]["secure"]


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        (["127.0.0.1"], "192.0.2.1"),
        (["127.0.0.1"], "::1"),
        (["10.0.0.0/8"], "::ffff:11.0.0.1"),
        (["127.0.0.1"], ""),
        ([], "127.0.0.1"),
    ],
)
def test_forwarded__from_anybody_else__as_if_not_sent(
    settings: Settings, trusted: list[str], peer: str
) -> None:
    # Given
    settings.FORWARDED_ALLOW_IPS = trusted
    # When
    request, response = answered(peer)
    # Then
    assert not request.is_secure()
    assert "HTTP_X_FORWARDED_PROTO" not in request.META
    assert not response.cookies["session"]["secure"]
