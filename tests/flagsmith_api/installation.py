"""The virtual environment of the double of the Flagsmith API: what Flagsmith pins, its
task processor, and what `realtime` needs in another project."""

import fcntl
import subprocess
from pathlib import Path

from tests.support.fresh import INSTALL_SECONDS, fresh_environment, fresh_variables
from tests.support.service import ROOT

HERE = Path(__file__).parent
FOLDER = HERE / ".venv"
PINS = ROOT / "tests" / "deploy" / "flagsmith-api.txt"
REQUIREMENTS = [HERE / "requirements.txt", ROOT / "requirements" / "app.in"]


def flagsmith_python() -> Path:
    """Its Python. Installs what is missing, or was with other pins."""
    wanted = "".join(file.read_text() for file in [PINS, *REQUIREMENTS])
    installed = FOLDER / "installed"
    with Path(__file__).open() as lock:
        # Several test processes may be here at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text() != wanted:
            scripts = fresh_environment(FOLDER)
            files = [
                word for file in REQUIREMENTS for word in ("--requirement", str(file))
            ]
            subprocess.run(
                [scripts / "pip", "install", "--quiet", "--constraint", PINS, *files],
                env=fresh_variables(),
                check=True,
                timeout=INSTALL_SECONDS,
            )
            installed.write_text(wanted)
    return FOLDER / "bin" / "python"
