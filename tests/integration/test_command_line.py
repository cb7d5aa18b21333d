"""The command line as a whole: its help, its version, and a Python that lacks the
packages."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import realtime
from tests.integration.test_commands import manage, one_line, variables
from tests.support.fresh import fresh_copy

COMMANDS = Path(realtime.__file__).parent / "management" / "commands"


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help__of_all_commands__ours_first_and_djangos_apart(
    arguments: tuple[str, ...],
) -> None:
    # When
    text = manage(*arguments).stdout

    # Then
    ours, djangos = text.split("Commands of Django:")
    _, listed = ours.split("Commands of the service:\n")
    commands = [re.split(r"  +", line.strip()) for line in listed.strip().splitlines()]
    assert all(len(command) == 2 for command in commands), "a line each"
    names = {name for name, _ in commands}
    assert names == {file.stem for file in COMMANDS.glob("[a-z]*.py")}
    assert re.search(r"\bcheck\b", djangos)
    assert "[django]" not in text


def test_help__a_senseless_setting__is_named() -> None:
    # When
    done = manage("help", environment={"SSE_ADMIN_ENABLED": "maybe"})

    # Then
    assert "SSE_ADMIN_ENABLED takes true or false" in done.stdout


@pytest.mark.parametrize(
    "arguments", [("--version",), ("version",), ("fleet", "--version")]
)
def test_version__of_all_and_of_a_command__is_ours(arguments: tuple[str, ...]) -> None:
    # When
    done = manage(*arguments)

    # Then
    assert done.stdout == f"flagsmith-sse {realtime.__version__}\n"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_copy(tmp_path_factory.mktemp("clone"))


def without_packages(clone: Path, *arguments: str) -> str:
    """The one line that `manage.py` prints under a Python that has nothing."""
    return one_line(
        subprocess.run(
            # Without `site` there is no folder of packages.
            [sys.executable, "-S", *arguments],
            cwd=clone,
            env=variables(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("manage.py",),
        ("manage.py", "help"),
        ("manage.py", "serve"),
        ("-m", "flagsmith_sse", "fleet"),
    ],
)
def test_packages_missing__in_a_clone__says_what_installs_them(
    clone: Path, arguments: tuple[str, ...]
) -> None:
    # When
    line = without_packages(clone, *arguments)

    # Then
    python = shlex.quote(sys.executable)
    assert line.startswith(f"error: {sys.executable} has no module django.")
    assert f"{python} -m pip install -r requirements/serve.txt" in line
    assert "`make run`" in line


def test_packages_missing__but_make_has_installed_them__says_where(clone: Path) -> None:
    # Given
    (clone / ".venv").mkdir()
    (clone / ".venv" / "embedded.done").touch()

    # When
    line = without_packages(clone, "manage.py", "fleet")

    # Then
    assert line.endswith("The packages are in .venv: use .venv/bin/python")
