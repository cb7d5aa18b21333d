"""Kinds of clients by what they really send."""

import pytest

from realtime import metrics
from realtime.fleet.client_kinds import kind_of, summed
from realtime.sse.client_kind import client_kind

SENT: dict[str, str] = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36": "browser",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Mobile/15E148": "browser",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9; wv) AppleWebKit/537.36": "browser",
    "okhttp/4.12.0": "android",
    "flagsmith-kotlin-android-sdk/1.9.0": "android",
    "Shop/12 CFNetwork/1410.0.3 Darwin/22.6.0": "ios",
    "flagsmith-swift-ios-sdk/3.10.0": "ios",
    "Dart/3.9 (dart:io)": "flutter",
    "flagsmith-flutter-sdk/6.1.0": "flutter",
    "python-requests/2.34.2": "python",
    "Python/3.11 aiohttp/3.13.0": "python",
    "Python-urllib/3.11": "python",
    "flagsmith-python-sdk/6.3.0": "python",
    "Go-http-client/1.1": "go",
    "Go-http-client/2.0": "go",
    "flagsmith-go-sdk/unknown": "go",
    "Faraday v2.14.0": "ruby",
    "Ruby": "ruby",
    "flagsmith-ruby-sdk/5.0.0": "ruby",
    "flagsmith-java-sdk/8.0.0": "flagsmith-sdk",
    "flagsmith-nodejs-sdk": "flagsmith-sdk",
    "flagsmith-": "other",
    "curl/8.14.1": "curl",
    "flagsmith-sse-probe/0.1.0": "probe",
    "flagsmith-sse-canary/0.1.0": "probe",
    "node": "other",
    "\x00\xff": "other",
    "x" * 5000 + " CFNetwork/1": "other",
    "": "none",
}


@pytest.mark.parametrize(("user_agent", "kind"), SENT.items())
def test_client_kind__user_agent__known(user_agent: str, kind: str) -> None:
    assert client_kind(user_agent.encode("latin-1")) == kind


def test_client_kind__no_header__none() -> None:
    assert client_kind(None) == "none"


def test_client_kind__every_kind__counted_and_explained() -> None:
    # When
    kinds = set(SENT.values())

    # Then
    assert kinds == set(metrics.CLIENTS) == set(metrics.subscribers_by_client)
    for name in metrics.CLIENTS:
        assert kind_of(name).title != name or name == "curl"
        assert kind_of(name).note.endswith(".")


def test_summed__several_instances__most_frequent_first() -> None:
    # When
    counts = summed([{"go": 1, "curl": 2}, {"go": 2, "newer": 1}, {"ios": 0}])

    # Then
    assert [(one.kind, one.subscribers) for one in counts] == [
        ("go", 3),
        ("curl", 2),
        ("newer", 1),
    ]
    assert counts[2].title == "newer"
