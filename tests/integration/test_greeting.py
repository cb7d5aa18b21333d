"""What `serve --with-nats` prints: a new user pastes it into a second terminal."""

import json
import re
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

from realtime.server.development import ANY_FREE, kept_port
from realtime.server.embedded_nats import EmbeddedNats
from tests.integration.test_commands import ctrl_c, running
from tests.support.pasting import paste, pasted_stream, printed_lines
from tests.support.waiting import eventually


def test_greeting__as_a_new_user__the_printed_lines_work(tmp_path: Path) -> None:
    # Given
    store, log = tmp_path / "store", tmp_path / "log"
    began = datetime.now(UTC).timestamp()
    with running(
        "serve", "--with-nats", f"--nats-store={store}", output=log
    ) as process:
        eventually(lambda: "nats.connected" in log.read_text(), what="the start")
        stream, publish, ready, *commands = printed_lines(log.read_text())

        # When
        with pasted_stream(stream) as shell:
            assert shell.stdout is not None
            published = paste([publish])
            received = [shell.stdout.readline() for _ in range(2)]
            answered = paste([ready])
            told = paste(commands)
            stopped = ctrl_c(process)
            assert shell.wait(10) == 0  # the response ended properly

        # Then
        assert "202 Accepted" in published
        assert received[0] == b"event: environment_updated\n"
        data = json.loads(received[1].removeprefix(b"data: "))
        # `date` counts whole seconds.
        assert began - 1 <= data["updated_at"] <= datetime.now(UTC).timestamp()
        assert isinstance(data["updated_at"], float)
        assert "ok" in answered
        assert told.startswith("All well")
        assert "Published " in told
        assert " · received at localhost:" in told
        assert "Commands of the service:" in told
        assert stopped == 0
        assert "Traceback" not in log.read_text()


def test_greeting__listens_on_another_address__the_printed_lines_name_it(
    tmp_path: Path,
) -> None:
    # Given
    store, log = tmp_path / "store", tmp_path / "log"
    with running(
        *("serve", "--with-nats", f"--nats-store={store}"),
        environment={"LISTEN_ADDR": "127.0.0.2:0"},
        output=log,
    ) as process:
        eventually(lambda: "nats.connected" in log.read_text(), what="the start")
        _, _, ready, *commands = printed_lines(log.read_text())

        # When
        answered, told = paste([ready]), paste(commands)
        assert ctrl_c(process) == 0

    # Then
    assert "ok" in answered
    assert " · received at 127.0.0.2:" in told


def test_greeting__started_again__what_was_exported_stays_true(tmp_path: Path) -> None:
    # Given
    store, log = tmp_path / "store", tmp_path / "log"
    tokens, servers = set(), set()
    for _ in range(2):
        # When: the second start is proof, too, that nothing was left running
        with running(
            "serve", "--with-nats", f"--nats-store={store}", output=log
        ) as process:
            eventually(lambda: "nats.connected" in log.read_text(), what="the start")
            tokens |= set(re.findall(r"Authorization: Token (\S+)'", log.read_text()))
            servers |= set(re.findall(r"NATS_URL=(\S+)", log.read_text()))
            assert ctrl_c(process) == 0

    # Then
    assert len(servers) == 1
    [token] = tokens
    file = store / "authentication-token"
    assert file.read_text() == f"{token}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_kept_port__taken_or_no_port__any_free(tmp_path: Path) -> None:
    # Given
    file = tmp_path / "port"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # When / Then
        file.write_text(f"{port}\n")
        assert kept_port(file) == ANY_FREE
    assert kept_port(file) == port
    for text in ("", "nonsense", "99999999"):
        file.write_text(text)
        assert kept_port(file) == ANY_FREE


def test_greeting__token_and_nats_given__shows_them_but_no_password_of_nats(
    shared_nats: EmbeddedNats, tmp_path: Path
) -> None:
    # Given
    store, log = tmp_path / "store", tmp_path / "log"
    for url, shown in (
        (shared_nats.url, True),
        (shared_nats.url.replace("//", "//me:s3cret@"), False),
    ):
        # When
        with running(
            *("serve", "--with-nats", f"--nats-store={store}"),
            environment={"NATS_URL": url, "SSE_AUTHENTICATION_TOKEN": "given"},
            output=log,
        ) as process:
            eventually(lambda: "nats.connected" in log.read_text(), what="the start")
            assert ctrl_c(process) == 0

        # Then
        text = log.read_text()
        assert "export SSE_AUTHENTICATION_TOKEN=given" in text
        assert (f"NATS_URL={url}" in text) is shown
        assert "s3cret" not in text
    assert not store.exists()
