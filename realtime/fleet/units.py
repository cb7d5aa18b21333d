"""Numbers, times and lists for people."""

import math
from collections.abc import Sequence
from typing import Final

NAMED: Final = 3
"""How many instances are named before they are only counted."""

_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """In the two largest units that count: `3 d 2 h`, `5 min 1 s`, `0 s`."""
    if not math.isfinite(seconds):
        return "?"
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def latency(seconds: float) -> str:
    """With two significant digits or so: `0.4 ms`, `12 ms`, `1.5 s`."""
    milliseconds = seconds * 1000
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{seconds:.1f} s"


def size(count: int) -> str:
    """Bytes: `156 B`, `1.2 kB`, `3.4 MB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def counted(number: int, one: str, several: str) -> str:
    """`1 update`, `2 updates`."""
    return f"{number:,} {one if number == 1 else several}"


def named(names: Sequence[str]) -> str:
    """`one, other`, or how many instances they are."""
    return ", ".join(names) if len(names) <= NAMED else f"{len(names)} instances"
