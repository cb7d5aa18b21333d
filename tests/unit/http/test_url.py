"""The URL of a service, taken apart."""

import pytest

from realtime.http.url import HttpUrl


@pytest.mark.parametrize(
    ("url", "tls", "authority"),
    [
        ("http://localhost:8088/x", False, "localhost:8088"),
        ("https://example.com/x", True, "example.com"),
        ("http://[::1]:81/x", False, "[::1]:81"),
    ],
)
def test_url__parsed__knows_what_the_header_host_says(
    url: str, tls: bool, authority: str
) -> None:
    # When
    found = HttpUrl.parse(url)

    # Then
    assert (found.tls, found.authority, found.path) == (tls, authority, "/x")


@pytest.mark.parametrize("url", ["ftp://host/", "http://", "localhost:8088"])
def test_url__of_something_else__says_so(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        HttpUrl.parse(url)
