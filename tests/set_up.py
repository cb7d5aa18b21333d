"""Install what the tests need besides Python packages, or say what to install:
`python -m tests.set_up`; with `bench` also what `make bench` needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.flagsmith_api.installation import flagsmith_python

SDKS = Path(__file__).parent / "sdks"
DEBIAN_PACKAGES = {
    "caddy": "caddy",
    "chromium": "chromium",
    "curl": "curl",
    "faketime": "faketime",
    "ip": "iproute2",
    "nginx": "nginx",
    "npm": "npm",
    "pg_ctlcluster": "postgresql",
    "prometheus": "prometheus",
}
"""Each program and the Debian package that brings it."""

BENCH_PACKAGES = {"gcc": "gcc", "wrk": "wrk"}
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
"""What the service is compared with; where it is not, it is left out."""


def main() -> None:
    needed = DEBIAN_PACKAGES
    if "bench" in sys.argv:
        needed = needed | BENCH_PACKAGES
        if not NCHAN.exists():
            install(["libnginx-mod-nchan"])
    missing = [program for program in needed if not shutil.which(program)]
    if missing:
        install([needed[program] for program in missing])
    if still := [program for program in missing if not shutil.which(program)]:
        sys.exit(f"The tests need {' and '.join(still)}: install them and try again.")
    installed = SDKS / "node_modules" / ".package-lock.json"
    lock = SDKS / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=SDKS, check=True)
    flagsmith_python()


def install(packages: list[str]) -> None:
    """Install Debian packages where that is possible without asking."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(
        ["apt-get", "install", "-qq", "--no-install-recommends", *packages],
        check=True,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
