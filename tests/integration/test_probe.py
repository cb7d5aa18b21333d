"""`manage.py probe` in a terminal: it works, or which hop does not and what to do."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from realtime.server.embedded_nats import EmbeddedNats
from tests.integration.test_commands import manage
from tests.support.service import TOKEN, Service, running_service

SECRET = {"SSE_AUTHENTICATION_TOKEN": TOKEN}
TIME = r"\d+(\.\d)? m?s"


def probe(
    url: str, *options: str, nats_url: str = "nats://127.0.0.1:1", **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**SECRET, "NATS_URL": nats_url, **variables}
    return manage("probe", "--url", url, *options, environment=environment)


@pytest.fixture(scope="module")
def served(
    shared_nats: EmbeddedNats, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One service, for what is the same on every server."""
    folder = tmp_path_factory.mktemp("service")
    with running_service("serve", shared_nats.url, folder) as service:
        service.await_ready()
        yield service


def test_probe__it_works__each_hop_with_its_time(service: Service) -> None:
    # When
    done = probe(service.url)

    # Then
    assert (done.returncode, done.stderr) == (0, "")
    where = f"127\\.0\\.0\\.1:{service.port}"
    line = f"stream open in {TIME} · 202 in {TIME} · received at {where} in {TIME}\n"
    assert re.fullmatch(line, done.stdout), done.stdout
