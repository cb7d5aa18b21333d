"""Debian's Prometheus reads the service for real: every panel of the dashboard and
every alert is asked of it, and finds what it asks for."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import yaml

from tests.integration.test_commands import manage
from tests.support.crowd import crowd
from tests.support.dashboard import panels, variable_queries
from tests.support.monitoring import Monitored, monitoring
from tests.support.prometheus import FOLDER
from tests.support.service import TOKEN, Service
from tests.support.waiting import eventually

VARIABLES = {
    "job": "flagsmith-sse",
    "instance": ".*",
    "nats_job": "nats",
    "__rate_interval": "5s",
}
CANARY = "Canary"
"""The title of the panel that is empty unless `SSE_CANARY_SECONDS` is set."""

METRIC = re.compile(r"(?:flagsmith_sse|process)_\w+(?:\{[^}]*\})?")
"""A selector in PromQL, without what follows in brackets."""

TIMED = {"FlagsmithSseDeliverySlow", "FlagsmithSseEventLoopLag"}
"""Alerts that may hold on a machine that is busy with other things."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """Two workers after a small load test."""
    with monitoring(tmp_path_factory.mktemp("monitored"), ["workers"]) as monitored:
        done = manage(
            *("loadtest", f"--url={monitored.services[0].url}", "--subscribers=40"),
            *("--interval=0.25", "--duration=6"),
            environment={"SSE_AUTHENTICATION_TOKEN": TOKEN},
        )
        assert done.returncode == 0, done
        yield monitored


@pytest.fixture(scope="module")
def alerts() -> dict[str, str]:
    """The expression of each alert."""
    [group] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


@pytest.fixture
def await_alerts(alerts: dict[str, str]) -> Callable[..., None]:
    """Wait until the alerts' expressions hold. For how long they must before an alert
    fires, and what takes minutes (a growing lag), is for alerts.test.yml."""

    def wait(monitored: Monitored, *names: str) -> None:
        monitored.await_data({name: alerts[name] for name in names})

    return wait


def test_dashboard__load_test__every_panel_has_data(loaded: Monitored) -> None:
    loaded.await_data(
        {
            f"{panel.title}, {target.legend}": target.expression
            for panel in panels(VARIABLES)
            for target in panel.targets
            if panel.title != CANARY
        }
    )


def test_dashboard__canary__its_panel_has_data_and_its_alert_holds_when_it_fails(
    tmp_path: Path, await_alerts: Callable[..., None]
) -> None:
    # Given
    [panel] = [panel for panel in panels(VARIABLES) if panel.title == CANARY]
    with monitoring(tmp_path, ["serve"], SSE_CANARY_SECONDS="1") as monitored:
        monitored.await_data({CANARY: panel.targets[0].expression})

        # When
        monitored.nats.kill()

        # Then: when more have failed than came back
        await_alerts(monitored, "FlagsmithSseCanaryFailing")


def test_dashboard__load_test__every_variable_has_values(loaded: Monitored) -> None:
    loaded.await_data(variable_queries(VARIABLES))


def test_subscribers__gauge_and_counter_of_one_name__prometheus_reads_both(
    loaded: Monitored,
) -> None:
    # Given
    gauge, counter = "flagsmith_sse_subscribers", "flagsmith_sse_subscribers_total"

    # Then: the load test's subscribers came and went
    loaded.await_data({"now": f"{gauge} == 40", "so far": f"{counter} == 40"})
    loaded.await_data({"at last": f"{gauge} == 0 and {counter} == 40"})


def test_alerts__load_test__find_their_series_and_do_not_hold(
    loaded: Monitored, alerts: dict[str, str]
) -> None:
    # Given
    selectors = {
        f"{name}: {selector}": selector
        for name, expression in alerts.items()
        for selector in METRIC.findall(expression)
    }
    assert {key.partition(":")[0] for key in selectors} == alerts.keys()

    # When
    loaded.await_data(selectors)

    # Then
    health = {rule["name"]: rule["health"] for rule in loaded.prometheus.rules()}
    assert health == dict.fromkeys(alerts, "ok")
    steady = {name: e for name, e in alerts.items() if name not in TIMED}
    eventually(  # not at once: on a busy machine a scrape may have failed
        lambda: not any(loaded.prometheus.query(e) for e in steady.values()),
        what="no alert to hold",
    )


def test_alerts__nats_killed__not_connected_not_ready_and_publishing_fails(
    tmp_path: Path, environment: str, await_alerts: Callable[..., None]
) -> None:
    with monitoring(tmp_path, ["workers", "serve"]) as monitored:
        # When
        monitored.services[0].expected_errors.add("update.lost")
        monitored.nats.kill()
        assert monitored.services[0].publish(environment, 1).status_code == 503

        # Then
        await_alerts(
            monitored,
            "FlagsmithSseNatsDisconnected",
            "FlagsmithSseNoInstanceReady",
            "FlagsmithSsePublishFailing",
        )


def test_alerts__wrong_token__unauthorised(
    tmp_path: Path, environment: str, await_alerts: Callable[..., None]
) -> None:
    with monitoring(tmp_path, ["serve"]) as monitored:
        # When
        answer = monitored.services[0].publish(environment, 1, token="wrong")
        assert answer.status_code == 401

        # Then
        await_alerts(monitored, "FlagsmithSsePublishUnauthorised")


async def test_alerts__as_many_subscribers_as_it_takes__near_the_limit(
    tmp_path: Path, environment: str, await_alerts: Callable[..., None]
) -> None:
    with monitoring(
        tmp_path, ["serve"], arguments=["--max-subscribers=10"]
    ) as monitored:
        # When
        async with crowd(monitored.services[0], environment, 10):
            # Then
            await_alerts(monitored, "FlagsmithSseSubscribersNearLimit")


async def test_alerts__instance_stopped_for_a_while__busy_and_late(
    tmp_path: Path, environment: str, await_alerts: Callable[..., None]
) -> None:
    with monitoring(tmp_path, ["serve", "serve"]) as monitored:
        # Given
        stopped, other = monitored.services
        async with crowd(stopped, environment, 1):
            # When
            stopped.process.send_signal(signal.SIGSTOP)
            try:
                assert other.publish(environment, 1).status_code == 202
                failed = "count_over_time((up == 0)[1m:1s])"
                monitored.await_data({"two scrapes of a second": f"{failed} >= 2"})
            finally:
                stopped.process.send_signal(signal.SIGCONT)

            # Then
            await_alerts(
                monitored, "FlagsmithSseEventLoopLag", "FlagsmithSseDeliverySlow"
            )


def test_alerts__one_of_two_workers_hangs__event_loop_lag(
    tmp_path: Path, alerts: dict[str, str]
) -> None:
    # Given
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with monitoring(tmp_path, ["workers"], METRICS_ADDR=address) as monitored:
        service = monitored.services[0]
        # It is killed for that before the alert would fire.
        service.expected_errors = {"worker.hung", "worker.died"}

        # When
        os.kill(service.workers()[0], signal.SIGSTOP)

        # Then: for as long as no lag was measured
        hangs = alerts["FlagsmithSseEventLoopLag"].replace("> 15", "> 4")
        monitored.await_data({"hangs": f"({hangs}) > 4"})


def test_alerts__worker_killed__restarts(
    tmp_path: Path, await_alerts: Callable[..., None]
) -> None:
    with monitoring(tmp_path, ["workers"]) as monitored:
        # Given
        [service] = monitored.services
        service.expected_errors.add("worker.died")

        # When
        os.kill(service.workers()[0], signal.SIGKILL)

        # Then
        await_alerts(monitored, "FlagsmithSseRestarts")
        counters = monitored.prometheus.query(
            'count by (__name__) ({__name__=~".+_(total|count|sum|bucket)"})'
        )
        names = [counter.labels["__name__"] for counter in counters]
        assert "flagsmith_sse_updates_total" in names
        ours = [name for name in names if name.startswith(("flagsmith_", "process_"))]
        for name in ours:
            assert monitored.prometheus.query(f"resets({name}[10m]) > 0") == []


def test_metrics__as_exposed__promtool_has_nothing_to_complain(
    service: Service,
) -> None:
    # Given
    text = requests.get(f"{service.url}/metricsz", timeout=5).text

    # When
    done = promtool("check", "metrics", text=text)

    # Then: the documented names are good ones too
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool__our_files__are_sound(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments],
        cwd=FOLDER,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )
