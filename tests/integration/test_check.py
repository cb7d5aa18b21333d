"""`manage.py check`: what it finds by itself, and what it asks others if told to."""

import subprocess
from pathlib import Path

from realtime.server.embedded_nats import EmbeddedNats, embedded_nats
from tests.integration.test_commands import manage
from tests.support.service import TOKEN, running_service

SECRET = {"SSE_AUTHENTICATION_TOKEN": TOKEN}
UNREACHABLE = "nats://me:s3cret@127.0.0.1:1"


def check(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return manage("check", *arguments, environment={**SECRET, **variables})


def test_check__misspelt_variable__warns_and_names_the_nearest() -> None:
    # When
    done = check(SSE_KEEPALIVE_SECOND="5")

    # Then
    assert done.returncode == 0
    assert "SSE_KEEPALIVE_SECOND is no variable of the service" in done.stderr
    assert "Is SSE_KEEPALIVE_SECONDS meant?" in done.stderr


def test_check__nats_out_of_reach__asked_only_if_told_to() -> None:
    # When
    offline = check(NATS_URL=UNREACHABLE)
    online = check("--deploy", NATS_URL=UNREACHABLE)

    # Then
    assert offline.returncode == 0
    assert online.returncode == 1
    assert "Cannot connect to NATS at 127.0.0.1:1: connection refused" in online.stderr
    assert "s3cret" not in online.stderr


def test_check__nats_there_and_no_stream_yet__nothing_to_say(tmp_path: Path) -> None:
    # Given
    with embedded_nats(tmp_path / "nats") as nats:
        # When
        done = check("--deploy", "--tag", "nats", NATS_URL=nats.url)

    # Then
    assert done.returncode == 0
    assert "no issues" in done.stdout


def test_check__nats_without_jetstream__says_so(tmp_path: Path) -> None:
    # Given: an account of its own, which has no JetStream
    config = tmp_path / "nats.conf"
    config.write_text("accounts { a { users: [{user: me, password: secret}] } }\n")
    with embedded_nats(tmp_path / "nats", arguments=[f"--config={config}"]) as nats:
        # When
        url = nats.url.replace("//", "//me:secret@")
        done = check("--deploy", "--tag", "nats", NATS_URL=url)

    # Then
    assert done.returncode == 1
    assert "JetStream" in done.stderr


def test_check__everything_as_it_should_be__no_word_of_djangos_advice(
    shared_nats: EmbeddedNats,
) -> None:
    # When
    done = check("--deploy", NATS_URL=shared_nats.url)

    # Then
    assert done.returncode == 0
    assert "no issues" in done.stdout


def test_start__misspelt_variable__logged_once_whatever_the_workers(
    shared_nats: EmbeddedNats, server: str, tmp_path: Path
) -> None:
    # When
    with running_service(
        server, shared_nats.url, tmp_path, SSE_KEEPALIVE_SECOND="5"
    ) as service:
        service.await_ready()

        # Then
        [event] = service.events("settings.unknown_variable")
    assert event["variable"] == "SSE_KEEPALIVE_SECOND"
    assert event["nearest"] == "SSE_KEEPALIVE_SECONDS"
