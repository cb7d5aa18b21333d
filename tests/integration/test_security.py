"""What docs/security.md promises and no other test pins."""

import re
from pathlib import Path

import nats as nats_py
import pytest
import requests

from realtime.server.embedded_nats import EmbeddedNats
from tests.support.raw_http import ask, queue_change
from tests.support.service import TOKEN, running_service
from tests.support.waiting import eventually

NEW, OLD = "the-new-secret", "the-old-secret"
ROOT = Path(__file__).resolve().parents[2]


def test_token__being_rotated__new_and_old_accepted_and_nothing_else(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        server,
        shared_nats.url,
        tmp_path,
        SSE_AUTHENTICATION_TOKEN=f"{NEW}, {OLD}",
    ) as service:
        service.await_ready()
        # When
        tokens = [NEW, OLD, f"{NEW},{OLD}", TOKEN, NEW[:-1], f"{OLD}x"]
        answers = [
            service.publish(environment, 1, token=token).status_code for token in tokens
        ]
        # Then
        assert answers == [202, 202, 401, 401, 401, 401]


def test_token__service_asked_in_every_way__in_no_log_answer_or_command_line(
    server: str, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(
        server, shared_nats.url, tmp_path, LOG_LEVEL="DEBUG", LOG_FORMAT="json"
    ) as service:
        service.await_ready()
        # When
        answers = [
            service.publish(environment, 1),
            service.publish(environment, "nonsense"),
            service.publish("bad key", 1),
            requests.get(
                f"{service.url}/no-such-page",
                headers={"Authorization": f"Token {TOKEN}"},
                timeout=5,
            ),
            requests.get(f"{service.url}/metricsz", timeout=5),
        ]
        pids = [service.process.pid, *service.running_workers()]
        titles = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
        # Then
        seen = [*(f"{a.headers}{a.text}" for a in answers), *titles]
        assert not [text for text in seen if TOKEN in text]
    assert TOKEN not in service.log.read_text()


# Of `serve` the tests read the port from its log, as JSON.
@pytest.mark.parametrize(
    ("server", "log_format"), [("daphne", "generic"), ("serve", "json")]
)
async def test_log__control_characters_from_outside__no_line_of_their_own(
    shared_nats: EmbeddedNats, tmp_path: Path, server: str, log_format: str
) -> None:
    # Given
    with running_service(
        server,
        shared_nats.url,
        tmp_path,
        LOG_FORMAT=log_format,
    ) as service:
        service.await_ready()
        # When: all that NATS lets into a subject, and a header
        async with await nats_py.connect(shared_nats.url) as client:
            hostile = "flagsmith.environment.\x1b[2J\x0b\x85forged"
            client._transport.write(  # type: ignore[union-attr]  # past its own checks
                f"PUB {hostile} 1\r\nx\r\n".encode()
            )
            await client.flush()
        ask(service, "GET", "/nothing\x1b%0a%0dforged", {"X-Forwarded-For": "\x1b[2J"})
        eventually(
            lambda: "update.skipped" in service.log.read_text(), what="the warning"
        )
        # Then
        text = service.log.read_text()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\x85]", text)
        assert not [line for line in text.splitlines() if line.startswith("forged")]


def test_threat_model__every_line__names_a_test_that_exists() -> None:
    # Given
    page = (ROOT / "docs" / "security.md").read_text()
    table = page.partition("| Threat |")[2]
    rows = [line for line in table.splitlines()[2:] if line.startswith("| ")]
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    # When / Then
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        for name in named:
            assert f"def {name}(" in tests, name


def test_publish__wrong_token_again_and_again__logged_once_for_each_cause(
    shared_nats: EmbeddedNats, single_server: str, tmp_path: Path, environment: str
) -> None:
    # Given
    with running_service(single_server, shared_nats.url, tmp_path) as service:
        # When
        headers = {"Authorization": "Token guess", "X-Forwarded-For": "198.51.100.7"}
        for _ in range(20):
            assert queue_change(service, environment, b"{}", headers).status == 401
            assert queue_change(service, environment, b"{}", {}).status == 401

        # Then
        wrong, missing = service.events("publish.refused")
        assert wrong["reason"] == "Invalid token."
        assert wrong["address"] == "198.51.100.7"  # loopback is trusted
        assert wrong["level"] == "warning"
        assert missing["address"] == "127.0.0.1"
        assert missing["level"] == "info"  # no publisher sends it like that
        assert "guess" not in service.log.read_text()
