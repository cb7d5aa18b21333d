"""The rows of the table: each measures one thing, and says what it must reach."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import nats

from tests.bench import load, probing
from tests.bench.processes import (
    SERVER_CORE,
    Target,
    await_listening,
    compiled,
    floor,
    nchan,
    running,
    service,
)

PORT, FLOOR_PORT, NATS_PORT = 8188, 8189, 8190
MANY, FEW = 15_000, 1_000


@dataclass(frozen=True)
class Result:
    """A measured value against what it must and should reach, if anything.
    `more_is_better` turns the comparison round."""

    scenario: str
    value: float
    unit: str
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        if self.must is None or self.aim is None:
            return ""
        sign = -1 if self.more_is_better else 1
        if sign * self.value <= sign * self.aim:
            return "aim met"
        return "must met" if sign * self.value <= sign * self.must else "not met"


class Bench:
    """What the rows share: the compiled programs, a NATS, and the number of rounds."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.rounds = rounds
        self.folder = folder
        self.ssebench = compiled("ssebench", folder)
        self.floor = compiled("floor", folder)
        self._stores = 0

    @contextmanager
    def nats(self, cores: str | None = SERVER_CORE) -> Iterator[str]:
        """A nats-server with an empty store; its URL."""
        self._stores += 1
        store = self.folder / f"nats-{self._stores}"
        command = [
            *("nats-server", "-js", "-sd", str(store)),
            *("-a", "127.0.0.1", "-p", str(NATS_PORT)),
        ]
        with running(command, cores=cores):
            await_listening(NATS_PORT)
            yield f"nats://127.0.0.1:{NATS_PORT}"

    @contextmanager
    def serving(self, **environment: str) -> Iterator[Target]:
        """`serve` with one worker on the server's core, its NATS on any."""
        with (
            self.nats(cores=None) as url,
            service(url, PORT, environment=environment) as target,
        ):
            yield target

    def fan_out_serve(self, subscribers: int, **environment: str) -> load.FanOut:
        with self.serving(**environment) as target:
            return load.fan_out(self.ssebench, target, subscribers)

    def fan_out_floor(self, subscribers: int) -> load.FanOut:
        with floor(self.floor, FLOOR_PORT) as target:
            return load.fan_out(self.ssebench, target, subscribers)

    def rounds_of(self, measure: Callable[[], tuple[float, ...]]) -> list[float]:
        """The median of each value that `measure` returns, over all rounds."""
        taken = [measure() for _ in range(self.rounds)]
        return [median(values) for values in zip(*taken, strict=True)]


def one_environment(bench: Bench) -> list[Result]:
    """Fan-out to 15,000, compared with the floor, and what those 15,000 cost."""

    def measure() -> tuple[float, ...]:
        # What is compared with the floor stands beside it.
        ours = bench.fan_out_serve(MANY)
        bare = bench.fan_out_floor(MANY)
        portable = bench.fan_out_serve(MANY, SSE_DIRECT_WRITES="false")
        few = bench.fan_out_serve(FEW)
        assert ours.delivered == ours.expected, ours
        return (
            ours.cpu_us / bare.cpu_us,
            ours.cpu_us / few.cpu_us,
            portable.cpu_us / bare.cpu_us,
            ours.kilobytes_each,
            ours.connect_us,
            ours.cpu_us,
        )

    to_floor, growth, portable, memory, accepted, cpu = bench.rounds_of(measure)
    return [
        Result(
            "15,000 subscribers, one environment: CPU per delivery ÷ the floor's",
            *(to_floor, "×", 1.30, 1.15),
        ),
        Result(
            "15,000 subscribers, one environment: CPU per delivery, on this machine",
            *(cpu, "µs"),
        ),
        Result(
            "growth: CPU per delivery at 15,000 ÷ at 1,000",
            *(growth, "×", 1.3, 1.1),
        ),
        Result("memory per subscriber", memory, "kB", 12, 9),
        Result("CPU per accepted subscription", accepted, "µs", 200, 120),
        Result(
            "direct writes switched off: CPU per delivery ÷ the floor's",
            *(portable, "×", 1.8, 1.5),
        ),
    ]


def against_nchan(bench: Bench) -> list[Result]:
    """The same work on nginx with nchan."""

    def measure() -> tuple[float, ...]:
        ours = bench.fan_out_serve(MANY)
        with nchan(bench.folder) as target:
            theirs = load.fan_out(bench.ssebench, target, MANY)
        return (ours.told_ms / theirs.told_ms,)

    [ratio] = bench.rounds_of(measure)
    scenario = "15,000 subscribers, one environment: all told in ÷ nginx + nchan's"
    return [Result(scenario, ratio, "×", 1.0, 0.85)]


def many_environments(bench: Bench) -> list[Result]:
    def measure() -> tuple[float, ...]:
        with bench.serving() as target:
            found = load.fan_out(
                bench.ssebench,
                target,
                MANY,
                *("--envs", "3000"),
                *("--path", "/sse/environments/e%d/stream"),
                *("--pubpath", "/sse/environments/e%d/queue-change"),
                updates=15_000,
                interval=0.002,
            )
        return (found.p99_ms,)

    [p99] = bench.rounds_of(measure)
    scenario = "15,000 subscribers over 3,000 environments, 500 updates/s: p99 latency"
    return [Result(scenario, p99, "ms", 100, 25)]


def idle(bench: Bench) -> list[Result]:
    def measure() -> tuple[float, ...]:
        with (
            bench.serving() as target,
            load.idle_streams(bench.ssebench, target, MANY),
        ):
            before, began = target.cpu_seconds(), time.monotonic()
            time.sleep(30)  # two keep-alives for each
            used = target.cpu_seconds() - before
            return (100 * used / (time.monotonic() - began),)

    [percent] = bench.rounds_of(measure)
    scenario = "15,000 idle subscribers: CPU of one core"
    return [Result(scenario, percent, "%", 3, 1.5)]


def queue_change(bench: Bench) -> list[Result]:
    def measure() -> tuple[float, ...]:
        with bench.serving() as target:
            stored = load.publishes_per_second(target.port)
        no_publish = {"DJANGO_SETTINGS_MODULE": "tests.bench.no_publish"}
        with bench.serving(**no_publish) as target:
            bare = load.publishes_per_second(target.port)
        with (
            bench.nats(cores=None) as url,
            service(url, PORT, workers=2, cores=None) as target,
        ):
            both = load.publishes_per_second(target.port, cores=None)
        return stored / bare, both

    ratio, both = bench.rounds_of(measure)
    return [
        Result(
            "queue-change stored per second ÷ answered without publishing",
            *(ratio, "×", 0.35, 0.50, True),
        ),
        Result(
            "queue-change stored per second, 2 workers, everything on 2 cores",
            *(both, "/s", 15_000, 20_000, True),
        ),
    ]


def latency(bench: Bench) -> list[Result]:
    def measure() -> tuple[float, ...]:
        with bench.nats(cores=None) as url:
            bare = asyncio.run(round_trip_ms(url))
            with service(url, PORT) as target:
                ours = load.fan_out(
                    bench.ssebench, target, 1, updates=200, interval=0.02
                )
        return (ours.p50_ms / bare,)

    [ratio] = bench.rounds_of(measure)
    scenario = "publish to delivery, idle, p50 ÷ a bare nats-py publish to pull"
    return [Result(scenario, ratio, "×", 2.0, 1.5)]


async def round_trip_ms(url: str) -> float:
    """The median time from a JetStream publish with nats-py until a pull consumer on
    another connection has the message."""
    publishing, reading = await nats.connect(url), await nats.connect(url)
    await publishing.jetstream().add_stream(name="bare", subjects=["bare"])
    consumer = await reading.jetstream().pull_subscribe("bare", "bare")
    took = []
    for _ in range(200):
        waiting = asyncio.create_task(consumer.fetch(1, timeout=5))
        await asyncio.sleep(0.02)
        began = time.perf_counter()
        await publishing.jetstream().publish("bare", b'{"updated_at":1}')
        await waiting
        took.append(time.perf_counter() - began)
        for message in waiting.result():
            await message.ack()
    await publishing.jetstream().delete_stream("bare")
    await publishing.close()
    await reading.close()
    return median(took) * 1000


def a_hundred_thousand(bench: Bench) -> list[Result]:
    """Six workers and six clients on the same two cores."""

    def measure() -> tuple[float, ...]:
        workers, clients, each = 6, 6, 16_667
        with ExitStack() as stack:
            url = stack.enter_context(bench.nats(cores=None))
            target = stack.enter_context(
                service(url, PORT, workers=workers, cores=None)
            )
            # When all have opened their streams, the last one publishes.
            readers = []
            for number in range(clients):
                last = number == clients - 1
                arguments = load.arguments_of(target, each, 3 if last else 0, 4.0)
                options = [
                    *("-r", "1500", "--src", str(number)),
                    *("--hold", "30" if last else "60"),
                ]
                readers.append(
                    subprocess.Popen(
                        [bench.ssebench, *arguments, *options],
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
            outputs = [reader.communicate(timeout=300)[0] for reader in readers]
        missed = [text for text in outputs if load.deliveries(text) != 3 * each]
        assert not missed, missed
        return (max(load.slowest_ms(text) for text in outputs) / 1000,)

    [told] = bench.rounds_of(measure)
    scenario = f"100,000 subscribers, 6 workers, {os.cpu_count()} cores: all told in"
    return [Result(scenario, told, "s", 2.0, 1.2)]


def spread(bench: Bench) -> list[Result]:
    """How evenly the kernel hands connections out."""
    count, workers = 10_000, 4

    def measure() -> tuple[float, ...]:
        with (
            bench.nats(cores=None) as url,
            service(url, PORT, workers=workers, cores=None) as target,
        ):
            before = target.open_files()
            with load.idle_streams(bench.ssebench, target, count):
                opened = [
                    now - then
                    for now, then in zip(target.open_files(), before, strict=True)
                ]
        return (max(opened) * workers / sum(opened),)

    [ratio] = bench.rounds_of(measure)
    scenario = f"{count:,} streams on {workers} workers: the most on one ÷ the mean"
    return [Result(scenario, ratio, "×", 1.25, 1.1)]


def daphne(bench: Bench) -> list[Result]:
    count = 10_000

    def measure() -> tuple[float, ...]:
        with (
            bench.nats(cores=None) as url,
            service(url, PORT, server="daphne") as target,
        ):
            ours = load.fan_out(bench.ssebench, target, count)
        bare = bench.fan_out_floor(count)
        return (ours.cpu_us / bare.cpu_us,)

    [ratio] = bench.rounds_of(measure)
    scenario = "Daphne, 10,000 subscribers: CPU per delivery ÷ the floor's"
    return [Result(scenario, ratio, "×", 9, 6)]


def new_connections(bench: Bench) -> list[Result]:
    """Who comes anew, beside clients that publish as fast as they are answered."""

    def measure() -> tuple[float, ...]:
        with bench.serving() as target:
            waits = probing.while_running(
                target.port,
                lambda: load.publishes_per_second(
                    target.port, seconds=10, connections=900
                ),
            )
        return (probing.p99_ms(waits),)

    [p99] = bench.rounds_of(measure)
    return [Result("new connection beside 900 busy ones: p99", p99, "ms", 1000, 250)]


def storm(bench: Bench) -> list[Result]:
    """Probes, while updates come faster than everybody can be told of each."""
    count = 5_000

    def measure() -> tuple[float, ...]:
        with (
            bench.nats(cores=None) as url,
            service(url, PORT) as target,
            load.idle_streams(bench.ssebench, target, count),
        ):
            waits = probing.while_running(
                target.port,
                lambda: asyncio.run(load.publish_at(url, rate=200, seconds=10)),
            )
        return (probing.p99_ms(waits),)

    [p99] = bench.rounds_of(measure)
    scenario = "`/livez` during 200 updates/s to 5,000 subscribers: p99"
    return [Result(scenario, p99, "ms", 1000, 100)]


ROWS: dict[str, Callable[[Bench], list[Result]]] = {
    "fan-out": one_environment,
    "nchan": against_nchan,
    "environments": many_environments,
    "idle": idle,
    "queue-change": queue_change,
    "latency": latency,
    "100000": a_hundred_thousand,
    "spread": spread,
    "daphne": daphne,
    "new-connections": new_connections,
    "storm": storm,
}
