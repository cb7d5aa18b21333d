"""NATS as docker/ and the guides configure it, really run."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nats

from realtime.conf import RealtimeSettings
from realtime.process_publisher import ProcessPublisher
from realtime.server.embedded_nats import embedded_nats
from realtime.updates import parse_update
from tests.deploy.proxies import free_port, replaced
from tests.support.service import ROOT, running_service
from tests.support.streams import Stream, event
from tests.support.waiting import eventually

FOLDER = ROOT / "docker" / "nats"
HOSTS = ("nats", "nats-2", "nats-3")


def documented(name: str, beginning: str) -> list[str]:
    """The subjects in the sentence of docs/`name` that begins like this."""
    text = (ROOT / "docs" / name).read_text()
    [sentence] = re.findall(rf"{beginning}.*?(?:\. |$)", text, re.MULTILINE)
    return re.findall(r"`([^`]+)`", sentence)


def user(name: str, publish: list[str], subscribe: list[str]) -> str:
    """A user of nats-server's configuration who may do just this."""
    return (
        f"{{ user: {name}, password: secret, permissions: "
        f"{json.dumps({'publish': publish, 'subscribe': subscribe})} }}"
    )


async def test_permissions__as_documented__are_enough(
    tmp_path: Path, environment: str
) -> None:
    # Given
    subjects = documented("operations.md", "The account in NATS needs ")
    subject, inbox = documented("deployment.md", "a process that only publishes needs ")
    users = [user("sse", subjects, subjects), user("api", [subject], [inbox])]
    config = tmp_path / "nats.conf"
    config.write_text(f"authorization {{ users: [ {', '.join(users)} ] }}")
    with embedded_nats(
        tmp_path / "store", arguments=["--config", str(config)]
    ) as server:
        url = server.url.replace("nats://", "nats://sse:secret@")

        # When
        with running_service("serve", url, tmp_path) as service:
            service.await_ready()
            async with Stream(service.stream_url(environment)) as stream:
                answer = service.publish(environment, 12.5)
                received = [await stream.next_event()]
                publisher = ProcessPublisher(
                    RealtimeSettings(nats_servers=(url.replace("sse:", "api:"),))
                )
                update = parse_update(environment, b'{"updated_at":13.5}')
                publishing = publisher.publish(update, seconds=10)
                await asyncio.wrap_future(publishing)
                received.append(await stream.next_event())
                publisher.close()

            # Then
            assert answer.status_code == 202
            assert received == [event("12.5"), event("13.5")]
        log = (tmp_path / "store" / "nats-server.log").read_text()
    assert len(subjects) == 4
    assert "Permissions Violation" not in log


@contextmanager
def cluster(folder: Path) -> Iterator[list[str]]:
    """The URLs of the three servers of docker/cluster.env, on loopback."""
    ports = {host: (free_port(), free_port(), free_port()) for host in HOSTS}
    routes = [
        (f"nats://{host}:6222\n", f"nats://127.0.0.1:{ports[host][2]}\n")
        for host in HOSTS
    ]
    with ExitStack() as stack:
        for host, (clients, monitoring, others) in ports.items():
            configuration = folder / host
            configuration.mkdir()
            common = (FOLDER / "common.conf").read_text()
            (configuration / "common.conf").write_text(
                replaced(
                    common,
                    ("0.0.0.0:4222", f"127.0.0.1:{clients}"),
                    ("0.0.0.0:8222", f"127.0.0.1:{monitoring}"),
                )
            )
            (configuration / "cluster.conf").write_text(
                replaced(
                    (FOLDER / "cluster.conf").read_text(),
                    ("/data/cluster", str(configuration / "data")),
                    ("0.0.0.0:6222", f"127.0.0.1:{others}"),
                    *routes,
                )
            )
            log = stack.enter_context((configuration / "log").open("wb"))
            process = stack.enter_context(
                subprocess.Popen(
                    [
                        Path(sys.executable).with_name("nats-server"),
                        *("--config", configuration / "cluster.conf"),
                    ],
                    env={"HOSTNAME": host},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
            stack.callback(process.terminate)
        yield [f"nats://127.0.0.1:{clients}" for clients, _, _ in ports.values()]


async def copies(url: str) -> int:
    """How many servers hold the stream and are up to date with it, as its leader
    tells."""
    client = await nats.connect(url)
    try:
        info = await client.jetstream().stream_info("environments-stream")
    finally:
        await client.close()
    followers = info.cluster.replicas if info.cluster else None
    return 1 + sum(bool(follower.current) for follower in followers or [])


def test_cluster__three_servers__hold_three_copies(
    tmp_path: Path, environment: str
) -> None:
    # Given
    with (
        cluster(tmp_path) as urls,
        running_service(
            "serve", ",".join(urls), tmp_path, NATS_STREAM_REPLICAS="3"
        ) as service,
    ):
        service.await_ready(seconds=60)
        # When
        answer = service.publish(environment, 1)
        # Then
        assert answer.status_code == 202
        eventually(
            lambda: asyncio.run(copies(urls[0])) == 3, seconds=30, what="three copies"
        )
