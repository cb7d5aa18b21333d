"""A picture of a load test's latencies. Only what draws it imports matplotlib."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from realtime.loadtest.options import LoadTestFailed
from realtime.loadtest.report import percentile
from realtime.loadtest.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def check_plot(path: Path) -> None:
    """Raises `LoadTestFailed` if a picture could not be drawn, or not written."""
    # The first import on a machine looks for fonts, and tells of it.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise LoadTestFailed(
            "matplotlib is not installed: --plot needs pip install matplotlib"
        ) from None
    if path.suffix != ".png":
        raise LoadTestFailed("--plot takes the name of a .png file")
    try:
        path.open("ab").close()
    except OSError as error:
        raise LoadTestFailed(f"Cannot write {path}: {error.strerror}") from None


def plot(results: Results, path: Path) -> None:
    """Draw latency over time and its distribution into the PNG file `path`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    over_time, distribution = figure.subplots(1, 2)
    _draw_over_time(over_time, results)
    _draw_distribution(distribution, results)
    deliveries = sum(update.received for update in results.updates.values())
    figure.suptitle(
        f"{results.progress.connected:,} subscribers, {results.published:,} updates, "
        f"{deliveries:,} deliveries"
    )
    figure.savefig(path, dpi=100)


def _draw_over_time(axes: "Axes", results: Results) -> None:
    updates = [
        update for _, update in sorted(results.updates.items()) if update.latencies
    ]
    start = updates[0].value if updates else 0.0
    ordered = [sorted(update.latencies) for update in updates]
    times = [update.value - start for update in updates]
    for name, share in SHARES.items():
        values = [percentile(latencies, share) * 1000 for latencies in ordered]
        axes.plot(times, values, marker=".", label=name)
    axes.set(
        title="Latency over time",
        xlabel="published after … seconds",
        ylabel="milliseconds",
    )
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_distribution(axes: "Axes", results: Results) -> None:
    latencies = sorted(
        latency * 1000
        for update in results.updates.values()
        for latency in update.latencies
    )
    axes.set(title="Distribution", xlabel="milliseconds", ylabel="deliveries")
    axes.grid(alpha=0.3)
    if not latencies:
        return
    axes.hist(latencies, bins=60, color="tab:gray")
    for number, (name, share) in enumerate(SHARES.items()):
        value = percentile(latencies, share)
        axes.axvline(value, color=f"C{number}", label=f"{name} {value:.2f} ms")
    axes.set_xlim(left=0)
    axes.margins(y=0.3)  # for the legend
    axes.legend(loc="upper center", ncols=2)
