"""Flagsmith's task processor, as it publishes: with `requests`, a time-out of 2 s,
three tries half a second apart, and then never again."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import requests

from tests.support.service import TOKEN, Service

TRIES = 3
PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 2


@dataclass
class TaskProcessor:
    """Publishes through a balancer that takes `services` in turn, one for each request,
    whatever their state."""

    services: Sequence[Service]
    answers: list[tuple[str, int, float]] = field(default_factory=list)
    """Each request's environment, status (0: none came) and seconds."""

    def __post_init__(self) -> None:
        self._turns: Iterator[Service] = itertools.cycle(self.services)

    def run_task(self, environments: Sequence[str], updated_at: object) -> bool:
        """One task: tells of each environment in turn, and ends at the first failure;
        each try begins with the first again. Whether a try succeeded."""
        for number in range(TRIES):
            if number:
                time.sleep(PAUSE_SECONDS)
            if all(self._post(environment, updated_at) for environment in environments):
                return True
        return False

    def _post(self, environment: str, updated_at: object) -> bool:
        service = next(self._turns)
        began = time.monotonic()
        status = 0
        try:
            response = requests.post(
                service.queue_change_url(environment),
                headers={"Authorization": f"Token {TOKEN}"},
                json={"updated_at": updated_at},
                timeout=TIMEOUT_SECONDS,
            )
            status = response.status_code
            response.raise_for_status()
        except requests.RequestException:
            return False
        finally:
            self.answers.append((environment, status, time.monotonic() - began))
        return True

    @property
    def slowest(self) -> float:
        """Of all answers, in seconds."""
        return max(seconds for _, _, seconds in self.answers)
