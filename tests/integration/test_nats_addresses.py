"""A name in NATS_URL that stands for several servers. The name service is made up: no
name can be put into that of the machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.connection import close, connect
from realtime.jetstream.servers import servers_of
from realtime.server.embedded_nats import EmbeddedNats, embedded_nats
from tests.support.certificates import NAME, Certificates, make_certificates

GOOD, HUNG, CLOSED = "127.0.0.1", "127.0.0.3", "127.0.0.4"
Names = dict[str, list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The addresses of names, to be filled in."""
    made_up: Names = {}
    genuine = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> list[Any]:
        return [
            found
            for address in made_up.get(host, [host])
            for found in genuine(address, port, *rest, **more)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return made_up


@contextmanager
def hung_server(port: int) -> Iterator[None]:
    """It accepts connections, and says nothing."""
    with socket.create_server((HUNG, port)):
        yield


def port_of(nats: EmbeddedNats) -> int:
    return int(nats.url.rpartition(":")[2])


def to(url: str, **fields: Any) -> RealtimeSettings:
    return RealtimeSettings(nats_servers=(url,), **fields)


async def test_connect__name_with_several_addresses__each_is_tried(
    shared_nats: EmbeddedNats, names: Names
) -> None:
    # Given
    port = port_of(shared_nats)
    names[NAME] = [HUNG, CLOSED, GOOD]
    connected = set()
    with hung_server(port):
        for _ in range(4):
            # When
            client = await connect(to(f"nats://{NAME}:{port}"))
            connected.add(client.server)
            await close(client)

    # Then
    assert connected == {f"{NAME}:{port} ({GOOD})"}


async def test_connect__little_time__shared_by_all_addresses(
    shared_nats: EmbeddedNats, names: Names
) -> None:
    # Given
    port = port_of(shared_nats)
    names[NAME] = [HUNG, GOOD]
    with hung_server(port):
        for _ in range(4):
            # When / Then
            client = await connect(to(f"nats://{NAME}:{port}"), seconds=4)
            await close(client)


async def test_connect__none_is_reached__names_the_first_addresses_and_no_secret(
    names: Names,
) -> None:
    # Given
    names[NAME] = [f"127.0.1.{number}" for number in range(7)]
    settings = RealtimeSettings(
        nats_servers=(f"nats://me:s3cret@{NAME}:1", "nats://s3cret@no-such.invalid")
    )

    # When
    with pytest.raises(NatsUnavailable) as raised:
        await connect(settings)

    # Then
    named = ", ".join(f"{NAME}:1 (127.0.1.{number})" for number in range(5))
    assert str(raised.value).startswith(
        f"Cannot connect to NATS at {named} and 2 more: connection refused; "
        "no-such.invalid has no address: "
    )
    assert "s3cret" not in str(raised.value)


async def test_servers_of__last_resort__after_all_others(names: Names) -> None:
    # Given
    names[NAME] = [GOOD, HUNG, CLOSED]
    urls = [f"nats://user:p%40ss@{NAME}", "tls://[::1]:4223"]

    # When
    orders = [await servers_of(urls, f"{NAME}:4222 ({HUNG})", None) for _ in range(50)]

    # Then
    for servers, errors in orders:
        assert not errors
        assert len(servers) == 4
        assert servers[-1].url == f"nats://{HUNG}:4222"
    assert {servers[0].url for servers, _ in orders} == {
        f"nats://{GOOD}:4222",
        f"nats://{CLOSED}:4222",
        "tls://[::1]:4223",
    }


async def test_connect__no_address__named_and_the_others_tried(
    shared_nats: EmbeddedNats,
) -> None:
    # Given
    missing = "nats://no-such-host.invalid"
    settings = RealtimeSettings(nats_servers=(missing, shared_nats.url))

    # When
    client = await connect(settings)
    await close(client)
    with pytest.raises(NatsUnavailable) as raised:
        await connect(to(missing))

    # Then
    assert "no-such-host.invalid has no address" in str(raised.value)


@pytest.fixture
def tls_nats(tmp_path: Path) -> Iterator[tuple[EmbeddedNats, Certificates]]:
    made = make_certificates(tmp_path)
    arguments = ["--tls", f"--tlscert={made.certificate}", f"--tlskey={made.key}"]
    with embedded_nats(tmp_path / "nats", arguments=arguments) as nats:
        yield nats, made


async def test_connect__tls__server_at_the_address_proves_the_name(
    tls_nats: tuple[EmbeddedNats, Certificates], names: Names
) -> None:
    # Given
    nats, made = tls_nats
    names[NAME] = names["other.test"] = [CLOSED, GOOD]
    authority = str(made.authority)

    # When
    url = f"tls://{NAME}:{port_of(nats)}"
    client = await connect(to(url, nats_tls_ca_file=authority))
    await close(client)

    # Then: and no other name
    url = f"tls://other.test:{port_of(nats)}"
    with pytest.raises(NatsUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await connect(to(url, nats_tls_ca_file=authority))


@pytest.mark.parametrize("written", [0, 40])
@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("nats_tls_ca_file", "NATS_TLS_CA_FILE"),
        ("nats_tls_cert_file", "NATS_TLS_CERT_FILE"),
        ("nats_tls_key_file", "NATS_TLS_KEY_FILE"),
    ],
)
async def test_connect__certificate_half_written__unavailable_and_named(
    tls_nats: tuple[EmbeddedNats, Certificates],
    setting: str,
    named: str,
    written: int,
) -> None:
    # Given
    nats, made = tls_nats
    files = {
        "nats_tls_ca_file": made.authority,
        "nats_tls_cert_file": made.certificate,
        "nats_tls_key_file": made.key,
    }
    files[setting].write_bytes(files[setting].read_bytes()[:written])
    settings = to(
        nats.url.replace("nats:", "tls:"), **{k: str(v) for k, v in files.items()}
    )

    # When / Then
    with pytest.raises(NatsUnavailable, match=named):
        await connect(settings)
