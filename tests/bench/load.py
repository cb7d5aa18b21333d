"""The load: `ssebench.c` for subscribers and wrk for publishers, on the other core."""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nats

from tests.bench.processes import CLIENT_CORE, NATIVE, TOKEN, Target

OPEN_SECONDS = 60

OPENED = 0.999
"""The part of the streams that must be open: the files that a server had open before
(a probe's connection) may have been closed meanwhile."""


@dataclass(frozen=True)
class FanOut:
    """What `ssebench` prints. Times in the units named; `told_ms` is from a publish
    until the last subscriber was told, on average and at worst."""

    subscribers: int
    delivered: int
    expected: int
    kilobytes_each: float
    connect_us: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    told_ms: float
    told_worst_ms: float


def fan_out(
    ssebench: str,
    target: Target,
    subscribers: int,
    *options: str,
    updates: int = 8,
    interval: float = 1.0,
    cores: str | None = CLIENT_CORE,
) -> FanOut:
    """Open streams, publish updates, measure."""
    arguments = arguments_of(target, subscribers, updates, interval)
    pinned = ["taskset", "-c", cores] if cores else []
    done = subprocess.run(
        [*pinned, ssebench, *arguments, *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return parsed(done.stdout, subscribers)


def arguments_of(
    target: Target, subscribers: int, updates: int, interval: float
) -> list[str]:
    return [
        *("-n", str(subscribers), "-m", str(updates), "-i", str(interval)),
        *("-p", str(target.port), "--token", TOKEN, "-r", "4000"),
        *("--pids", ",".join(map(str, target.pids))),
    ]


def parsed(output: str, subscribers: int) -> FanOut:
    def number(pattern: str) -> float:
        found = re.search(pattern + r"=\s*(-?[0-9.]+)", output)
        if found is None:
            raise SystemExit(f"ssebench did not print {pattern}:\n{output}")
        return float(found[1])

    latency, told = output.partition("latency_ms")[2].split("fanout_ms")
    return FanOut(
        subscribers=int(number("ok")),
        delivered=int(number("delivered")),
        expected=int(number("expected")),
        kilobytes_each=number("kB/conn"),
        connect_us=number("connect_cpu_s") / subscribers * 1e6,
        cpu_us=number("server_cpu_us_per_delivery"),
        p50_ms=_field(latency, "p50"),
        p99_ms=_field(latency, "p99"),
        told_ms=_field(told, "mean"),
        told_worst_ms=_field(told, "max"),
    )


def deliveries(output: str) -> int:
    """How many updates `ssebench` saw."""
    found = re.search(r"delivered=([0-9]+)", output)
    assert found is not None, output
    return int(found[1])


def slowest_ms(output: str) -> float:
    """The longest time from publish to delivery that `ssebench` saw."""
    return _field(output.partition("latency_ms")[2], "max")


def _field(text: str, name: str) -> float:
    found = re.search(rf"{name}=([0-9.]+)", text)
    assert found is not None, text
    return float(found[1])


@contextmanager
def idle_streams(ssebench: str, target: Target, count: int) -> Iterator[None]:
    """`count` streams that are open and get nothing while the block runs."""
    arguments = arguments_of(target, count, updates=0, interval=1.0)
    before = sum(target.open_files())
    process = subprocess.Popen(
        ["taskset", "-c", CLIENT_CORE, ssebench, *arguments, "--hold", "600"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        # It prints nothing before it is done; the server's open files tell.
        deadline = time.monotonic() + OPEN_SECONDS
        while sum(target.open_files()) < before + OPENED * count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{count} streams did not open")
            time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.communicate()


async def publish_at(nats_url: str, *, rate: int, seconds: int) -> None:
    """Publish `rate` updates a second of the environment that is streamed, straight to
    NATS: nobody's HTTP is what is measured."""
    client = await nats.connect(nats_url)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(rate * seconds):
        await asyncio.sleep(began + number / rate - loop.time())
        payload = b'{"updated_at":%.6f}' % time.time()
        await client.publish("flagsmith.environment.load_test", payload)
    await client.close()


def publishes_per_second(
    port: int,
    *,
    seconds: int = 5,
    connections: int = 64,
    cores: str | None = CLIENT_CORE,
) -> float:
    """queue-change requests answered a second, over so many connections that are kept
    and 1,000 environments. Exits if any was not answered with success."""
    pinned = ["taskset", "-c", cores] if cores else []
    script = str(NATIVE / "publish.lua")
    done = subprocess.run(
        [
            *pinned,
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script),
            f"http://127.0.0.1:{port}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])
