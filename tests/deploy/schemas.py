"""JSON schemas of other projects' files, which the package check-jsonschema brings."""

import subprocess
import sys
from pathlib import Path


def violations(schema: str, file: Path) -> str:
    """What in `file` is against the bundled `schema`; empty if nothing is."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", schema, file],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
