"""What somebody has who starts from nothing: a copy of the repository, and a virtual
environment with nothing in it."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from flagsmith_sse import settings
from tests.support.service import ROOT

INSTALL_SECONDS = 600


def fresh_copy(folder: Path) -> Path:
    """What a clone would hold, with the changes that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if source.is_file() and not source.is_symlink():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


def fresh_environment(folder: Path) -> Path:
    """The `bin` folder of a new virtual environment."""
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin"


def fresh_variables(**variables: str) -> dict[str, str]:
    """This process's environment variables without those that lead to this
    repository's virtual environment, that configure the service, or by which a make
    that runs the tests tells another that it stands below it."""
    own = settings.environment.known.keys() | {
        *("DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV"),
        *("MAKEFLAGS", "MAKELEVEL", "MFLAGS"),
    }
    inherited = {k: v for k, v in os.environ.items() if k not in own}
    here = str(Path(sys.executable).parent)
    path = [f for f in os.environ["PATH"].split(os.pathsep) if f != here]
    return {**inherited, "PATH": os.pathsep.join(path), **variables}
