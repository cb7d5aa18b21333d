"""Where a request came from: only proxies that are trusted are believed."""

import pytest

from realtime.http.client_address import TrustedProxies


@pytest.mark.parametrize(
    ("allowed", "peer", "forwarded", "client"),
    [
        ([], "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        (["10.0.0.0/8"], "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        (["10.0.0.0/8"], "10.1.2.3", [], "10.1.2.3"),
        (["10.0.0.0/8"], "10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        (["10.0.0.0/8"], "10.1.2.3", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        (["10.0.0.0/8"], "10.1.2.3", ["198.51.100.7", "10.9.9.9"], "198.51.100.7"),
        (["10.0.0.0/8"], "10.1.2.3", ["198.51.100.7, x\ny"], "10.1.2.3"),
        (["10.0.0.0/8"], "10.1.2.3", ["2001:db8::1"], "2001:db8::1"),
        (["*"], "192.0.2.1", ["198.51.100.7, 10.0.0.1"], "198.51.100.7"),
        (["*"], "", ["198.51.100.7"], "198.51.100.7"),
        (["10.0.0.0/8"], "", ["198.51.100.7"], ""),
        ([], "::ffff:192.0.2.1", [], "192.0.2.1"),
        ([], "2001:DB8:0::1", [], "2001:db8::1"),
        (["*"], "192.0.2.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        (["*"], "192.0.2.1", ["fe80::1%\x1b[2J"], "fe80::1"),
        (["*"], "192.0.2.1", [f"fe80::1%{'x' * 99}"], "192.0.2.1"),
    ],
)
def test_client__forwarded_headers__believed_from_trusted_proxies_only(
    allowed: list[str], peer: str, forwarded: list[str], client: str
) -> None:
    # Given
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"client": (peer, 1) if peer else None, "headers": headers}
    # When / Then
    assert TrustedProxies(allowed).client(scope) == client
