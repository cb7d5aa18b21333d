"""Who may have sent a publish that was refused, and from where."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from realtime.endpoints.refused_publishes import looks_like_publisher, note_answer
from realtime.fleet.publishes.recorder import PublishRecorder
from realtime.http.client_address import TrustedProxies
from realtime.http.view import Response
from realtime.service import RealtimeService

JSON = (b"content-type", b"application/json; charset=utf-8")
TOKEN = (b"authorization", b"Token x")


@pytest.mark.parametrize(
    ("method", "headers", "looks"),
    [
        ("POST", [JSON, TOKEN], True),
        ("POST", [JSON], True),
        ("POST", [TOKEN], True),
        ("POST", [], False),
        ("POST", [(b"content-type", b"application/x-www-form-urlencoded")], False),
        ("GET", [JSON, TOKEN], False),
        ("HEAD", [], False),
    ],
)
def test_looks_like_publisher__request__posts_json_or_with_a_token(
    method: str, headers: list[tuple[bytes, bytes]], looks: bool
) -> None:
    assert looks_like_publisher({"method": method, "headers": headers}) is looks


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (None, "a Unix socket"),
        (("", 0), "a Unix socket"),
        (("::ffff:192.0.2.1", 5), "192.0.2.1"),
    ],
)
def test_note_answer__refused__address_as_people_write_it(
    client: Any, address: str
) -> None:
    # Given
    service = SimpleNamespace(publishes=PublishRecorder(), proxies=TrustedProxies([]))
    scope = {"method": "POST", "headers": [TOKEN], "client": client}

    # When
    answer = Response(400, {"updated_at": ["This field is required."]})
    note_answer(cast(RealtimeService, service), scope, answer)
    note_answer(cast(RealtimeService, service), scope, Response(200))

    # Then
    report = service.publishes.report(1e9)
    [refusal] = report.refusals
    assert [one.address for one in refusal.sources] == [address]
    assert refusal.reason == "updated_at: This field is required."
    assert report.accepted_at is None
