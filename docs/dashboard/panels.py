"""The panels of Grafana's dashboard, and the PromQL in them."""

from typing import Final

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
OURS: Final = '{job=~"$job", instance=~"$instance"}'

PER_SECOND: Final = "cps"
SECONDS: Final = "s"
BYTES: Final = "bytes"
SHARE: Final = "percentunit"
COUNT: Final = "short"

Panel = stat.Panel | timeseries.Panel
Queries = dict[str, str]
"""PromQL by legend."""


def number(
    title: str,
    description: str,
    queries: Queries,
    unit: str,
    *,
    red_from: float | None = None,
    named: bool = False,
) -> stat.Panel:
    """The latest value, and its course behind it; `named` if its legend tells something
    even where it is the only one."""
    steps = [Threshold(color="green")]
    if red_from is not None:
        steps.append(Threshold(color="red", value=red_from))
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .graph_mode(BigValueGraphMode.AREA)
        .text_mode(BigValueTextMode.VALUE_AND_NAME if named else BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(4)
        .height(4)
    )
    return panel.targets(targets(queries))


def graph(
    title: str, description: str, queries: Queries, unit: str, *, stacked: bool = False
) -> timeseries.Panel:
    """Lines over time, from zero."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(20 if stacked else 5)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .span(8)
        .height(8)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    return panel.targets(targets(queries))


def targets(queries: Queries) -> list[Builder[Dataquery]]:
    return [
        prometheus.Dataquery()
        .datasource(DATASOURCE)
        .expr(expression)
        .legend_format(legend)
        .range()
        .ref_id(chr(ord("A") + index))
        for index, (legend, expression) in enumerate(queries.items())
    ]


# PromQL


def by(label: str, expression: str) -> Queries:
    """The sum of `expression` for each value of `label`."""
    return {f"{{{{{label}}}}}": f"sum by ({label}) ({expression})"}


def rate(metric: str, selector: str = OURS) -> str:
    return f"rate({metric}{selector}[$__rate_interval])"


def quantile(share: float, metric: str, label: str = "") -> str:
    """Of all together, or for each value of `label`."""
    labels = f"{label}, le" if label else "le"
    return (
        f"histogram_quantile({share}, sum by ({labels}) ({rate(metric + '_bucket')}))"
    )


def quantiles(metric: str) -> Queries:
    return {
        name: quantile(share, metric)
        for name, share in {"p50": 0.5, "p95": 0.95, "p99": 0.99}.items()
    }


def nats(metric: str, *matchers: str) -> str:
    """A metric of prometheus-nats-exporter: its own prefix is `gnatsd` (`jetstream`
    for what is of JetStream), but NATS's Helm chart runs it with `-prefix=nats`."""
    prefix = "gnatsd" if metric.startswith("varz_") else "jetstream"
    name = f'__name__=~"({prefix}|nats)_{metric}"'
    return "{" + ", ".join([name, 'job=~"$nats_job"', *matchers]) + "}"


def stream(metric: str) -> str:
    """A metric of our stream, as the leader among its replicas tells it."""
    of_leader = ('stream_name="environments-stream"', 'is_stream_leader="true"')
    return nats(f"stream_{metric}", *of_leader)
