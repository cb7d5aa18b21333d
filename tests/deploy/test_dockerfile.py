"""The image, as far as it can be tried without a container engine: a linter's opinion,
every step done in a clean folder, and its command run by one who may write nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flagsmith_sse import settings
from realtime.server.embedded_nats import EmbeddedNats
from tests.deploy.dockerfile import FILE, Image, in_context, instructions, variables
from tests.support.fresh import fresh_copy
from tests.support.service import running_service
from tests.support.streams import Stream, event

POWERLESS = (
    ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
)
"""Root without its privileges: what a file's mode forbids is forbidden. (Another user
might not be let in to where this Python is.)"""

NOT_OURS = ("PATH", "PIP_", "PYTHON")
"""How the names of variables begin that are for others."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image's files, which nobody may write."""
    folder = tmp_path_factory.mktemp("image")
    image = Image(folder / "root", fresh_copy(folder / "context"))
    image.build()
    subprocess.run(["chmod", "-R", "a-w", image.folder], check=True)
    yield image
    subprocess.run(["chmod", "-R", "u+w", image.folder], check=True)


def test_dockerfile__hadolint__no_complaint() -> None:
    # When
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, FILE], capture_output=True, text=True, check=False)

    # Then
    assert (done.returncode, done.stdout) == (0, "")


def test_dockerfile__variables__known_to_the_settings() -> None:
    # Given
    named = {
        name: value
        for step in instructions()
        if step.name == "ENV"
        for name, value in variables(step.arguments).items()
        if not name.startswith(NOT_OURS)
    }

    # Then
    assert named.keys() <= settings.environment.known.keys()
    assert named["LOG_FORMAT"] == "json"


def test_dockerfile__stages__pinned_and_the_last_runs_as_nobody() -> None:
    # Given
    steps = instructions()
    bases = [step.arguments.split()[0] for step in steps if step.name == "FROM"]
    names = [step.name for step in steps]

    # Then: the same base for both, a whole version
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert bases[0].startswith("python:3.11.")
    assert names.index("USER") > len(names) - 1 - names[::-1].index("FROM")
    assert {"HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD", "LABEL"} <= set(names)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("realtime/sse/hub.py", True),
        ("requirements/postgres.txt", True),
        ("requirements/dev.txt", False),
        (".git/config", False),
        (".env", False),
        ("tests/conftest.py", False),
        ("db.sqlite3", False),
        ("realtime/__pycache__/hub.cpython-311.pyc", False),
    ],
)
def test_dockerignore__path__only_what_the_image_needs(
    path: str, expected: bool
) -> None:
    # When / Then
    assert in_context(path) is expected


async def test_image__who_runs_it_may_not_write_there__serves(
    image: Image, shared_nats: EmbeddedNats, tmp_path: Path, environment: str
) -> None:
    # Given
    entry_point, command = image.commands["ENTRYPOINT"], image.commands["CMD"]
    assert command == ["serve"]

    # When
    with running_service(
        "serve",
        shared_nats.url,
        tmp_path,
        program=[*POWERLESS, *entry_point],
        cwd=str(image.path(image.workdir)),
        **image.variables(),
    ) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            answer = service.publish(environment, 12.5)
            received = await stream.next_event()
        healthy = healthcheck(image, service.port)

    # Then
    assert answer.status_code == 202
    assert received == event("12.5")
    assert healthy == 0
    assert healthcheck(image, service.port) == 1


def test_image__powerless__may_indeed_not_write(image: Image) -> None:
    # When
    done = subprocess.run([*POWERLESS, "touch", image.path("/app/x")], check=False)

    # Then
    assert done.returncode != 0


def healthcheck(image: Image, port: int) -> int:
    """The exit code of the image's HEALTHCHECK."""
    command = image.commands["HEALTHCHECK"]
    return subprocess.run(
        command,
        env=image.variables(LISTEN_ADDR=f":{port}"),
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode


def test_image__admin_with_postgresql__finds_its_driver(image: Image) -> None:
    # When
    done = subprocess.run(
        [*image.commands["ENTRYPOINT"], "check"],
        cwd=image.path(image.workdir),
        env=image.variables(
            SSE_AUTHENTICATION_TOKEN="x",
            SSE_ADMIN_ENABLED="true",
            DATABASE_URL="postgres://user:password@127.0.0.1:1/name",
        ),
        capture_output=True,
        text=True,
        check=False,
    )

    # Then
    assert done.returncode == 0, done.stderr


def test_image__daphne_instead__is_there(image: Image) -> None:
    # When
    done = subprocess.run(
        ["daphne", "--help"],
        env=image.variables(),
        capture_output=True,
        text=True,
        check=True,
    )

    # Then: as the Dockerfile's comment says
    assert "--endpoint" in done.stdout
    assert "tcp:port=8088:backlog=4096 flagsmith_sse.asgi:application" in (
        FILE.read_text()
    )
