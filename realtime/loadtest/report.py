"""The summary of a load test, for people and machines, and the line that shows how it
goes. Pure functions of its results."""

import math
from collections.abc import Sequence
from typing import Any

from realtime.loadtest.results import Results


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least of the `ordered` values that `share` (0 to 1) of them do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def summary(results: Results) -> dict[str, Any]:
    """What `--json` prints. Latencies are in milliseconds, and null if there are none;
    `per_second` is over the time that each update took to reach its last subscriber."""
    updates = results.updates.values()
    latencies = sorted(value for update in updates for value in update.latencies)
    received = sum(update.received for update in updates)
    busy = sum(max(update.latencies) for update in updates if update.latencies)
    progress = results.progress
    return {
        "ok": results.is_clean,
        "interrupted": results.interrupted,
        "subscribers": results.subscribers,
        "processes": results.processes,
        "environments": results.environments,
        "seconds": round(results.seconds, 3),
        "connected": progress.connected,
        "rejected": progress.rejected,
        "dropped": progress.dropped,
        "reasons": dict(progress.reasons),
        "updates": {
            "published": results.published,
            "failed": sum(results.failures.values()),
            "reasons": dict(results.failures),
        },
        "deliveries": {
            "expected": sum(update.expected for update in updates),
            "received": received,
            "superseded": sum(update.superseded for update in updates),
            "missing": sum(update.missing for update in updates),
            "duplicate": progress.duplicates,
            "per_second": round(received / busy) if busy > 0 else 0,
        },
        "latency_ms": {
            "p50": _milliseconds(latencies, 0.5),
            "p90": _milliseconds(latencies, 0.9),
            "p99": _milliseconds(latencies, 0.99),
            "max": _milliseconds(latencies, 1),
        },
        "client_cpu_us_per_delivery": (
            round(progress.cpu / received * 1e6, 2) if received else None
        ),
    }


def text(found: dict[str, Any]) -> str:
    """The same for people, of what `summary` returned."""
    updates, deliveries = found["updates"], found["deliveries"]
    latency = found["latency_ms"]
    cpu = found["client_cpu_us_per_delivery"]
    several = found["environments"] > 1
    environments = f" and {found['environments']:,} environments" if several else ""
    lines = {
        "subscribers": f"{found['connected']:,} connected of "
        f"{found['subscribers']:,} in "
        f"{_plural(found['processes'], 'process', 'processes')}{environments}, "
        f"{found['rejected']:,} rejected{_why(found['reasons'])}, "
        f"{found['dropped']:,} dropped",
        "updates": f"{updates['published']:,} published in {found['seconds']:.1f} s, "
        f"{updates['failed']:,} failed{_why(updates['reasons'])}",
        "deliveries": f"{deliveries['received']:,} received of "
        f"{deliveries['expected']:,} expected, {deliveries['missing']:,} missing, "
        f"{deliveries['superseded']:,} superseded by a later one, "
        f"{deliveries['duplicate']:,} duplicate",
        "rate": f"{deliveries['per_second']:,} deliveries per second while an update "
        "goes round",
        "latency": ", ".join(f"{name} {value} ms" for name, value in latency.items()),
        "client": f"{cpu} µs of CPU per delivery",
    }
    if not deliveries["received"]:
        for name in ("rate", "latency", "client"):
            del lines[name]
    return "\n".join(f"{name:<12} {line}" for name, line in lines.items())


def progress_line(results: Results, seconds: float) -> str:
    """How it goes, `seconds` after the start."""
    progress = results.progress
    return (
        f"{seconds:.0f} s"
        f" · {progress.connected:,} of {results.subscribers:,} connected"
        f" · {progress.rejected:,} rejected · {progress.dropped:,} dropped"
        f" · {_plural(results.published, 'update', 'updates')}"
        f" · {progress.received:,} deliveries"
    )


def _milliseconds(ordered: list[float], share: float) -> float | None:
    return round(percentile(ordered, share) * 1000, 3) if ordered else None


def _why(reasons: dict[str, int]) -> str:
    if not reasons:
        return ""
    return f" ({', '.join(f'{count:,} x {why}' for why, count in reasons.items())})"


def _plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
