"""Numbers and times for people."""

import math
from typing import Final

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
