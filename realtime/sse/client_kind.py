"""What kind of client has opened a stream, by its `User-Agent`.

An SDK seldom says its own name there: on the streams most of them send what their HTTP
library sends. So a kind is a library, and stands for the SDK that is built on it.
"""

from typing import Final

LOOKED_AT: Final = 256
"""Bytes of a `User-Agent`: those of the clients that are told apart are shorter."""

_BEGINNINGS: Final = (
    # Browsers, and the views for web pages inside of applications.
    (b"mozilla/", "browser"),
    # OkHttp: the Kotlin SDK, and React Native on Android.
    (b"okhttp/", "android"),
    # Dart's own client, which Flutter's SDK uses.
    (b"dart/", "flutter"),
    # requests, which the SDK uses, urllib and aiohttp.
    (b"python", "python"),
    (b"go-http-client/", "go"),
    (b"faraday", "ruby"),
    (b"ruby", "ruby"),
    (b"curl/", "curl"),
    # Our own: `manage.py probe`, its button, and the canary.
    (b"flagsmith-sse-", "probe"),
)

_SDKS: Final = {
    b"kotlin-android": "android",
    b"swift-ios": "ios",
    b"flutter": "flutter",
    b"python": "python",
    b"go": "go",
    b"ruby": "ruby",
}
"""`flagsmith-NAME-sdk` of those that are known by their library, too."""


def client_kind(user_agent: bytes | None) -> str:
    """One of `realtime.metrics.CLIENTS`, for the header's value; None: it was not
    sent."""
    if not user_agent:
        return "none"
    text = user_agent[:LOOKED_AT].lower()
    for beginning, kind in _BEGINNINGS:
        if text.startswith(beginning):
            return kind
    if text.startswith(b"flagsmith-"):
        name, found, _ = text.removeprefix(b"flagsmith-").partition(b"-sdk")
        return _SDKS.get(name, "flagsmith-sdk") if found else "other"
    # The application's own name comes first: `Shop/12 CFNetwork/1410.0.3 Darwin/22.6`.
    return "ios" if b" cfnetwork/" in text else "other"
