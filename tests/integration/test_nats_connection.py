"""The ways to say where NATS is and who we are."""

from pathlib import Path

import pytest

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.jetstream.connection import connect
from realtime.server.embedded_nats import embedded_nats
from tests.support.certificates import Certificates, make_certificates
from tests.support.nats_accounts import write_accounts
from tests.support.service import running_service
from tests.support.waiting import eventually


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


def works(url: str, folder: Path, **environment: str) -> None:
    with running_service("serve", url, folder, **environment) as service:
        service.await_ready(seconds=10)
        assert service.publish("an-environment", 1).status_code == 202


def refused(url: str, folder: Path, **environment: str) -> str:
    """The reason that is logged; the service does not turn ready."""
    with running_service("serve", url, folder, **environment) as service:
        [interruption, *_] = eventually(
            lambda: service.events("bridge.interrupted"), what="the refusal"
        )
        assert not service.is_ready()
        assert service.metric('flagsmith_sse_nats_errors_total{operation="connect"}')
        log = service.log.read_text()
        assert "s3cret" not in log
        reason: str = interruption["reason"]
        return reason


def with_user(url: str, userinfo: str) -> str:
    return url.replace("://", f"://{userinfo}@")


def test_url__user_and_password_percent_encoded__connects(tmp_path: Path) -> None:
    with embedded_nats(
        tmp_path / "nats", arguments=["--user=sse", "--pass=p@ss:w/rd"]
    ) as nats:
        works(with_user(nats.url, "sse:p%40ss%3Aw%2Frd"), tmp_path)


def test_url__wrong_password__says_so_without_the_password(tmp_path: Path) -> None:
    with embedded_nats(
        tmp_path / "nats", arguments=["--user=sse", "--pass=right"]
    ) as nats:
        reason = refused(with_user(nats.url, "sse:s3cret"), tmp_path)
    assert "Authorization Violation" in reason


def test_url__token__connects(tmp_path: Path) -> None:
    with embedded_nats(tmp_path / "nats", arguments=["--auth=s3cret"]) as nats:
        works(with_user(nats.url, "s3cret"), tmp_path)


def test_url__first_server_of_the_list_is_down__connects_to_the_next(
    tmp_path: Path,
) -> None:
    with embedded_nats(tmp_path / "nats") as nats:
        works(f"nats://127.0.0.1:1, {nats.url}", tmp_path)


def test_url__nothing_listens__says_so(tmp_path: Path) -> None:
    reason = refused("nats://me:s3cret@127.0.0.1:1", tmp_path)
    assert reason == "Cannot connect to NATS at 127.0.0.1:1: connection refused"


def test_tls__own_authority__connects(
    tmp_path: Path, certificates: Certificates
) -> None:
    with embedded_nats(
        tmp_path / "nats", arguments=tls_arguments(certificates)
    ) as nats:
        url = nats.url.replace("nats://", "tls://")
        works(url, tmp_path, NATS_TLS_CA_FILE=str(certificates.authority))


def test_tls__client_certificate_demanded__connects(
    tmp_path: Path, certificates: Certificates
) -> None:
    with embedded_nats(
        tmp_path / "nats",
        arguments=[
            *tls_arguments(certificates),
            "--tlsverify",
            f"--tlscacert={certificates.authority}",
        ],
    ) as nats:
        works(
            nats.url.replace("nats://", "tls://"),
            tmp_path,
            NATS_TLS_CA_FILE=str(certificates.authority),
            NATS_TLS_CERT_FILE=str(certificates.certificate),
            NATS_TLS_KEY_FILE=str(certificates.key),
        )


def test_tls__unknown_authority__refused(
    tmp_path: Path, certificates: Certificates
) -> None:
    with embedded_nats(
        tmp_path / "nats", arguments=tls_arguments(certificates)
    ) as nats:
        reason = refused(nats.url.replace("nats://", "tls://"), tmp_path)
    assert "CERTIFICATE_VERIFY_FAILED" in reason


def test_tls__server_offers_none__no_password_in_the_clear(tmp_path: Path) -> None:
    with embedded_nats(tmp_path / "nats") as nats:
        url = with_user(nats.url.replace("nats://", "tls://"), "sse:s3cret")
        assert "the server offers none" in refused(url, tmp_path)


def test_credentials_file__operator_mode__connects(tmp_path: Path) -> None:
    config, credentials = write_accounts(tmp_path)
    with embedded_nats(tmp_path / "nats", arguments=[f"--config={config}"]) as nats:
        works(nats.url, tmp_path, NATS_CREDENTIALS_FILE=str(credentials))


@pytest.mark.parametrize("lines", range(7))
async def test_credentials_file__half_written__unavailable_without_the_secret(
    tmp_path: Path, lines: int
) -> None:
    # Given: so many lines, of the last one half, at most that with the seed
    config, credentials = write_accounts(tmp_path)
    *whole, last = ["", *credentials.read_text().split("\n")][: lines + 1]
    credentials.write_text("\n".join([*whole[1:], last[: len(last) // 2]]))

    with embedded_nats(tmp_path / "nats", arguments=[f"--config={config}"]) as nats:
        settings = RealtimeSettings(
            nats_servers=(nats.url,), nats_credentials_file=str(credentials)
        )
        # When
        with pytest.raises(NatsUnavailable) as raised:
            await connect(settings)

    # Then
    assert "Cannot connect to NATS" in str(raised.value)
    assert not last or last[: len(last) // 2] not in str(raised.value)


def tls_arguments(certificates: Certificates) -> list[str]:
    return [
        "--tls",
        f"--tlscert={certificates.certificate}",
        f"--tlskey={certificates.key}",
    ]
