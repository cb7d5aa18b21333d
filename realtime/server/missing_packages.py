"""How what is missing is installed. Only the standard library is imported here: nothing
else may be there."""

import os
import shlex
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder of the source, or that of all packages where this one is installed."""


def install_command(extra: str) -> str:
    """The command line that installs what `extra` (of pyproject.toml) needs into this
    Python: from the source's requirements where this is the source."""
    requirements = ROOT / "requirements" / f"{extra}.txt"
    if requirements.is_file():
        return f"{_python()} -m pip install -r {_from_here(requirements)}"
    return f"{_python()} -m pip install 'flagsmith-sse[{extra}]'"


def missing_module(name: str | None) -> str:
    """What to say where the module `name` cannot be imported."""
    said = f"{sys.executable} has no module {name}. "
    furnished = ROOT / ".venv" / "bin" / "python"
    # Each of the Makefile's marks stands for all that the service needs.
    if any((ROOT / ".venv").glob("*.done")) and not _is_used(furnished):
        return said + f"The packages are in .venv: use {_from_here(furnished)}"
    said += f"To install what the service needs: {install_command('serve')}"
    if (ROOT / "Makefile").is_file():
        return said + ", or `make run`, which uses a virtual environment of its own"
    return said


def _is_used(python: Path) -> bool:
    return python.parent.parent.resolve() == Path(sys.prefix).resolve()


def _python() -> str:
    return shlex.quote(sys.executable)


def _from_here(path: Path) -> str:
    return shlex.quote(os.path.relpath(path))
