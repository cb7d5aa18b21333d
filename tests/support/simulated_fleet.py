"""Instances that are no more than their answers: real agents on connections of
their own, with made-up reports."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from msgspec import Struct

from realtime.conf import RealtimeSettings
from realtime.fleet.agent import Agent
from realtime.fleet.messages import Busy, InstanceReport, LatestUpdate
from realtime.jetstream.client import FastClient
from realtime.jetstream.connection import close, connect
from tests.support.waiting import eventually

START_SECONDS = 20


def made_up(number: int = 0, **fields: Any) -> InstanceReport:
    """A report of an instance that is well; `fields` say what is different."""
    now = time.time()
    return InstanceReport(
        **{
            "instance": f"sse-simulated-{number}-abcdef",
            "host": f"host-{number}",
            "pid": 1000 + number,
            "version": "1.2.3",
            "now": now,
            "started_at": now - 3600,
            "nats_server": "127.0.0.1:4222",
            "subscribers": 10,
            "subscribers_limit": 1000,
            "environments": 1,
            "busiest": (Busy("busy", 10),),
            "latest": (LatestUpdate("busy", "1", 7, now - 60),),
            **fields,
        }
    )


Answers = Mapping[str, Callable[[InstanceReport, bytes], Struct | None]]
"""By subject, what the instance of a report answers to a payload."""


@contextmanager
def simulated_fleet(
    settings: RealtimeSettings,
    *reports: InstanceReport,
    others: int = 0,
    answers: Answers | None = None,
) -> Iterator[None]:
    """Instances that answer with `reports`, and to other questions as `answers` say, on
    an event loop of their own, besides so many `others`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        starting = asyncio.run_coroutine_threadsafe(
            _start(settings, reports, answers or {}), loop
        )
        started = starting.result(START_SECONDS)
        try:
            eventually(
                lambda: all(
                    r.presence.alive() == len(reports) + others for r, _ in started
                ),
                what="all to have heard of all",
            )
            yield
        finally:
            stopping = asyncio.run_coroutine_threadsafe(_stop(started), loop)
            stopping.result(START_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(
    settings: RealtimeSettings, reports: tuple[InstanceReport, ...], answers: Answers
) -> list[tuple[Agent, FastClient]]:
    started = []
    for report in reports:
        client = await connect(settings, on_closed=_on_closed)
        agent = Agent(
            me=lambda report=report: report.sighting,  # type: ignore[misc]
            report=lambda report=report: report,  # type: ignore[misc]
            drain=lambda by: None,
        )
        for subject, answer in answers.items():
            agent.questions[subject] = partial(answer, report)
        await agent.join(client)
        started.append((agent, client))
    return started


async def _stop(started: list[tuple[Agent, FastClient]]) -> None:
    for agent, client in started:
        agent.leave()
        await close(client)


async def _on_closed() -> None:
    """The test ends it."""
