"""The address that an instance tells the others."""

import pytest

from realtime.fleet.addresses import reachable


@pytest.mark.parametrize(
    ("outgoing", "listening", "address"),
    [
        ("10.0.0.5", "127.0.0.1", "10.0.0.5:8088"),
        ("10.0.0.5", "::ffff:127.0.0.1", "10.0.0.5:8088"),
        ("fd00::5", "::1", "[fd00::5]:8088"),
        # All interfaces, and both versions of IP.
        ("10.0.0.5", "::", "10.0.0.5:8088"),
        ("fd00::5", "::", "[fd00::5]:8088"),
        # NATS by one version of IP, and the server by the other only.
        ("10.0.0.5", "fd00::5", "[fd00::5]:8088"),
        ("fd00::5", "10.0.0.5", "10.0.0.5:8088"),
    ],
)
def test_reachable__versions_of_ip__one_that_the_server_listens_on(
    outgoing: str, listening: str, address: str
) -> None:
    assert reachable(outgoing, listening, 8088) == address
