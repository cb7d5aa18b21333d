"""The table, for people and for docs/benchmarks.md."""

import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from realtime.server.embedded_nats import find_nats_server
from tests.bench.rows import Result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
PACKAGES = ("django", "channels", "daphne", "uvicorn", "uvloop", "nats-py")


def table(results: list[Result]) -> str:
    """A Markdown table, one row a scenario."""
    head = ["| scenario | measured | must | aim | | on |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(row, results)])


def row(result: Result) -> str:
    measured, must, aim = (
        "" if value is None else f"{value:,.{decimals(value)}f} {result.unit}"
        for value in (result.value, result.must, result.aim)
    )
    return (
        f"| {result.scenario} | **{measured}** | {must} | {aim} | {result.verdict} "
        f"| {today()} |"
    )


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def decimals(value: float) -> int:
    if value >= 100:
        return 0
    return 1 if value >= 10 else 2


def surroundings(rounds: int) -> str:
    """How often was measured, the machine and the versions."""
    return f"Medians of {rounds}. {machine()}"


def machine() -> str:
    """The machine and the versions."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    found = re.search(r"model name\s*:\s*(.+)", cpuinfo)
    cores = cpuinfo.count("processor\t")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    command = [find_nats_server(), "--version"]
    nats = subprocess.run(command, capture_output=True, text=True)
    return (
        f"{cores} cores of {found[1] if found else platform.machine()}, Linux "
        f"{platform.release()}; Python {platform.python_version()}, {versions}, "
        f"{nats.stdout.strip()}."
    )


def write(results: list[Result], rounds: int) -> None:
    """Replace what is between the marks in docs/benchmarks.md."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    measured = f"{BEGIN}\n{surroundings(rounds)}\n\n{table(results)}\n{END}"
    PAGE.write_text(before + measured + after)


def update(results: list[Result]) -> None:
    """Replace the rows of these scenarios in docs/benchmarks.md, and no other; a new
    one comes last. The page says on which machine they were measured."""
    text = PAGE.read_text()
    about = f"Rows of {today()}: {machine()}"
    if about not in text:
        text = text.replace("\n\n| scenario", f"\n\n{about}\n\n| scenario", 1)
    for result in results:
        old = rf"^\| {re.escape(result.scenario)} \|.*$"
        text, known = re.subn(old, row(result), text, flags=re.MULTILINE)
        if not known:
            text = text.replace(END, f"{row(result)}\n{END}")
    PAGE.write_text(text)
