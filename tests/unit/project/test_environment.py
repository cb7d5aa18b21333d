"""Environment variables that look like the service's and are none."""

import pytest

from flagsmith_sse.environment import Environment
from flagsmith_sse.settings import environment


def unknown(name: str) -> dict[str, str | None]:
    """What is said of the variable `name`."""
    alone = Environment({name: "x"})
    alone.known = environment.known
    return alone.unknown()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SSE_KEEPALIVE_SECOND", "SSE_KEEPALIVE_SECONDS"),
        ("SSE_AUTH_TOKEN", None),
        ("SSE_AUTHENTICATION_TOKENS", "SSE_AUTHENTICATION_TOKEN"),
        ("NATS_URLS", "NATS_URL"),
        ("NATS_PASSWORD", None),
    ],
)
def test_unknown_variables__misspelt__nearest_is_named(
    name: str, nearest: str | None
) -> None:
    assert unknown(name) == {name: nearest}


@pytest.mark.parametrize(
    "name",
    [
        "SSE_KEEPALIVE_SECONDS",
        "PATH",
        "MY_SSE_KEEPALIVE_SECOND",
        # Kubernetes tells of a service called `nats` by these.
        "NATS_SERVICE_HOST",
        "NATS_SERVICE_PORT",
        "NATS_SERVICE_PORT_CLIENT",
        "NATS_PORT",
        "NATS_PORT_4222_TCP",
        "NATS_PORT_4222_TCP_ADDR",
        "SSE_PORT_8088_TCP_PROTO",
    ],
)
def test_unknown_variables__ours_or_anothers__passed_over(name: str) -> None:
    assert unknown(name) == {}
