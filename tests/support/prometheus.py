"""Debian's Prometheus as a real process, with our configuration and our alerts."""

import math
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support.service import ROOT
from tests.support.waiting import eventually

FOLDER = ROOT / "docker" / "prometheus"
START_SECONDS = 20
STOP_SECONDS = 10
SCRAPE_SECONDS = 1


@dataclass(frozen=True)
class Series:
    """One series of a query's result: its labels, and its values by Unix time; what is
    not a number is left out."""

    labels: dict[str, str]
    values: dict[float, float]


class Prometheus:
    """A running Prometheus, asked through its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def is_ready(self) -> bool:
        return requests.get(f"{self._url}/-/ready", timeout=5).ok

    def query(self, expression: str) -> list[Series]:
        """What it is now."""
        found = self._get("query", query=expression)["result"]
        return [_series(one["metric"], [one["value"]]) for one in found]

    def query_range(
        self, expression: str, start: float, end: float, step: float = SCRAPE_SECONDS
    ) -> list[Series]:
        """What it was every `step` seconds."""
        span = {"start": start, "end": end, "step": step}
        found = self._get("query_range", query=expression, **span)["result"]
        return [_series(one["metric"], one["values"]) for one in found]

    def rules(self) -> list[dict[str, Any]]:
        """The alerting rules, and how their last evaluation went."""
        [group] = self._get("rules")["groups"]
        rules: list[dict[str, Any]] = group["rules"]
        return rules

    def _get(self, endpoint: str, **parameters: str | float) -> Any:
        answer = requests.get(
            f"{self._url}/api/v1/{endpoint}", params=parameters, timeout=30
        ).json()
        assert answer["status"] == "success", answer
        return answer["data"]


def _series(labels: dict[str, str], pairs: list[tuple[float, str]]) -> Series:
    values = {time: float(value) for time, value in pairs}
    return Series(labels, {t: v for t, v in values.items() if not math.isnan(v)})


@contextmanager
def running_prometheus(
    folder: Path, jobs: Mapping[str, list[str]]
) -> Iterator[Prometheus]:
    """Run Prometheus until the end of the block, on a free port of loopback, with its
    files in `folder`.

    It has the configuration of docker/prometheus, but reads every second, and for each
    of its jobs from the hosts and ports that `jobs` says.
    """
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(_configuration(jobs)))
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _await_start(process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configuration(jobs: Mapping[str, list[str]]) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load(
        (FOLDER / "prometheus.yml").read_text()
    )
    interval = f"{SCRAPE_SECONDS}s"
    configuration["global"] = {
        "scrape_interval": interval,
        "evaluation_interval": interval,
        "scrape_timeout": interval,
    }
    configuration["rule_files"] = [
        str(FOLDER / name) for name in configuration["rule_files"]
    ]
    for job in configuration["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": jobs[job["job_name"]]}]
    return configuration


def _await_start(process: subprocess.Popen[bytes], log: Path) -> Prometheus:
    def listens() -> re.Match[str] | None:
        assert process.poll() is None, log.read_text()
        return re.search(r'msg="Listening on" address=(\S+)', log.read_text())

    found = eventually(listens, seconds=START_SECONDS, what="Prometheus")
    assert found
    prometheus = Prometheus(f"http://{found[1]}")
    eventually(prometheus.is_ready, seconds=START_SECONDS, what="Prometheus")
    return prometheus
