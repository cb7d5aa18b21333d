"""The package: built, installed in a clean virtual environment, and started."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import realtime
from realtime.server.embedded_nats import EmbeddedNats
from tests.support.fresh import (
    INSTALL_SECONDS,
    fresh_copy,
    fresh_environment,
    fresh_variables,
)
from tests.support.service import ROOT, running_service
from tests.support.streams import Stream, event


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution it was built from."""
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--no-isolation"),
            *("--outdir", folder / "dist", fresh_copy(folder / "source")),
        ],
        check=True,
        capture_output=True,
        timeout=INSTALL_SECONDS,
    )
    return folder / "dist"


def test_source_distribution__built__holds_licence_and_requirements(
    built: Path,
) -> None:
    # When
    name = f"flagsmith_sse-{realtime.__version__}"
    with tarfile.open(built / f"{name}.tar.gz") as archive:
        members = set(archive.getnames())

    # Then
    assert f"{name}/LICENSE" in members
    sets = ("app", "base", "serve", "postgres", "embedded")
    assert {f"{name}/requirements/{s}.in" for s in sets} < members


def test_wheel__files_that_are_no_modules__are_in_it(built: Path) -> None:
    # Given
    [wheel] = built.glob("*.whl")
    packages = [ROOT / "realtime", ROOT / "flagsmith_sse"]
    needed = {
        str(file.relative_to(ROOT))
        for package in packages
        for file in package.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }

    # When
    with zipfile.ZipFile(wheel) as archive:
        members = set(archive.namelist())

    # Then: templates, scripts, styles
    assert needed
    assert needed <= members
    assert "realtime/migrations/0001_initial.py" in members


def install(wheel: Path, extras: str, constraints: Path, folder: Path) -> Path:
    """The `bin` folder of a new environment in `folder` that holds the wheel with its
    `extras` and what they need, of the versions in `constraints`."""
    scripts = fresh_environment(folder)
    subprocess.run(
        [
            *(scripts / "pip", "install", "--quiet", "--constraint", constraints),
            f"{wheel}{extras}",
        ],
        env=fresh_variables(),
        check=True,
        timeout=INSTALL_SECONDS,
    )
    return scripts


@pytest.fixture(scope="module")
def scripts(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel and what it needs."""
    [wheel] = built.glob("*.whl")
    tested = ROOT / "requirements" / "embedded.txt"
    return install(wheel, "[embedded]", tested, tmp_path_factory.mktemp("installed"))


def output_of(*command: object, cwd: Path) -> str:
    """What a command that succeeds prints, in a folder that has none of the source."""
    return subprocess.run(
        [str(argument) for argument in command],
        cwd=cwd,
        env=fresh_variables(SSE_AUTHENTICATION_TOKEN="x"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_wheel__installed__version_and_checks(scripts: Path, tmp_path: Path) -> None:
    # When
    python = scripts / "python"
    code = "import realtime; print(realtime.__version__)"
    version = output_of(python, "-c", code, cwd=tmp_path)
    checked = output_of(python, "-m", "flagsmith_sse", "check", cwd=tmp_path)

    # Then
    assert version.strip() == realtime.__version__
    assert "no issues" in checked


async def test_wheel__installed__runs_the_service(
    scripts: Path, tmp_path: Path, environment: str
) -> None:
    # When
    with running_service(
        *("serve", "", tmp_path),
        arguments=["--with-nats", f"--nats-store={tmp_path / 'nats'}"],
        program=[str(scripts / "flagsmith-sse")],
        cwd=str(tmp_path),
    ) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            published = service.publish(environment, 12.5)
            received = await stream.next_event()

    # Then
    assert published.status_code == 202
    assert received == event("12.5")


PUBLISH = """
import sys
import django
from django.conf import settings

_, url, key = sys.argv
settings.configure(INSTALLED_APPS=["realtime", "realtime.flagsmith"], NATS_URL=url)
django.setup()
from django.core.management import call_command
from realtime.publisher import publish_environment_update

call_command("check")
publish_environment_update(key, 12.5, timeout=10)
"""


@pytest.fixture(scope="module")
def python_of_the_api(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel beside what the Flagsmith API
    pins."""
    [wheel] = built.glob("*.whl")
    pins = ROOT / "tests" / "deploy" / "flagsmith-api.txt"
    return install(wheel, "", pins, tmp_path_factory.mktemp("api")) / "python"


def test_command__installed_without_extras__says_what_to_install(
    python_of_the_api: Path, tmp_path: Path
) -> None:
    # When
    done = subprocess.run(
        [python_of_the_api, "-m", "flagsmith_sse", "serve"],
        cwd=tmp_path,
        env=fresh_variables(SSE_AUTHENTICATION_TOKEN="x"),
        capture_output=True,
        text=True,
    )

    # Then
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "pip install 'flagsmith-sse[serve]'" in line


async def test_wheel__installed_beside_what_the_flagsmith_api_pins__publishes(
    python_of_the_api: Path, shared_nats: EmbeddedNats, environment: str, tmp_path: Path
) -> None:
    # Given
    with running_service("serve", shared_nats.url, tmp_path) as service:
        service.await_ready()
        async with Stream(service.stream_url(environment)) as stream:
            # When
            output_of(
                *(python_of_the_api, "-c", PUBLISH, shared_nats.url, environment),
                cwd=tmp_path,
            )

            # Then
            assert await stream.next_event() == event("12.5")
