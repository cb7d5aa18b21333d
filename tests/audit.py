"""`python -m tests.audit`: ask for known vulnerabilities of every pinned package.

Whatever is found fails. What the advisory service cannot be asked, because it is out of
reach or does not know the release, passes, and is said: an index that is a mirror has
the packages, and seldom their advisories.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PINS = Path(__file__).resolve().parents[1] / "requirements" / "dev.txt"
"""Those of all other sets are among them."""

OUT_OF_REACH = ("Could not connect", "ConnectionError", "Timeout")
UNKNOWN = "not found on PyPI"


def main() -> None:
    arguments = ("--format=json", "--disable-pip", "--no-deps", f"--requirement={PINS}")
    command = [sys.executable, "-m", "pip_audit", *arguments]
    audit = subprocess.run(command, capture_output=True, text=True)
    faults = list(judge(audit.stdout, audit.stderr))
    sys.exit("\n".join(faults) or None)


def judge(answer: str, errors: str) -> Iterator[str]:
    """What is wrong, by what pip-audit wrote; says what was not audited."""
    if not answer.strip():
        if any(reason in errors for reason in OUT_OF_REACH):
            print("NOT AUDITED: the advisory service is out of reach")
        else:
            yield f"pip-audit failed:\n{errors}"
        return
    packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    unknown = [p for p in packages if UNKNOWN in p.get("skip_reason", "")]
    for package in packages:
        for vulnerability in package.get("vulns", ()):
            yield f"{package['name']} {package['version']}: {vulnerability['id']}"
        if "skip_reason" in package and package not in unknown:
            yield f"{package['name']}: {package['skip_reason']}"
    if unknown:
        print(
            f"NOT AUDITED: {len(unknown)} of {len(packages)} packages, whose releases "
            "the advisory service does not know"
        )


if __name__ == "__main__":
    main()
