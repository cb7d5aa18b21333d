"""Flagsmith's task processor, as it publishes: on a connection of its own each time,
with a time-out of 2 s, three tries half a second apart, and then never again."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from tests.support.service import TOKEN

TRIES: Final = 3
PAUSE_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 2.0
"""To connect, and again to be answered, as `requests` counts."""


@dataclass(slots=True)
class Answer:
    """What came of one request. `url` is the service's, `sent` and `answered` are the
    event loop's times, and `status` is 0 if no answer came."""

    environment: str
    url: str
    sent: float
    answered: float
    status: int = 0
    kept: bool = False
    """Whether it said that the update is not stored yet."""
    body: bytes = b""

    @property
    def seconds(self) -> float:
        return self.answered - self.sent

    @property
    def accepted(self) -> bool:
        """What `raise_for_status` lets pass."""
        return 0 < self.status < HTTPStatus.BAD_REQUEST

    @property
    def stored(self) -> bool:
        return self.accepted and not self.kept


class TaskProcessor:
    """Publishes through a balancer that takes the services in turn, one for each
    request, whatever their state: `urls` has the next one's. `on_answer` is told of
    each answer as it comes."""

    def __init__(
        self,
        urls: Iterator[str],
        on_answer: Callable[[Answer], None] = lambda answer: None,
    ) -> None:
        self._urls = urls
        self._on_answer = on_answer
        self.answers: list[Answer] = []

    async def run_task(self, updates: Mapping[str, object]) -> bool:
        """One task: tells of each environment in turn (its `updated_at`), and ends at
        the first failure; each try begins with the first again. Whether a try
        succeeded."""
        for number in range(TRIES):
            if number:
                await asyncio.sleep(PAUSE_SECONDS)
            if await self._run_once(updates):
                return True
        return False

    async def _run_once(self, updates: Mapping[str, object]) -> bool:
        for environment, updated_at in updates.items():
            answer = await publish(next(self._urls), environment, updated_at)
            self.answers.append(answer)
            self._on_answer(answer)
            if not answer.accepted:
                return False
        return True

    @property
    def slowest(self) -> float:
        """Of all answers, in seconds."""
        return max(answer.seconds for answer in self.answers)


async def publish(url: str, environment: str, updated_at: object) -> Answer:
    """One request to the service at `url`."""
    loop = asyncio.get_running_loop()
    answer = Answer(environment, url, loop.time(), loop.time())
    with suppress(OSError, EOFError, TimeoutError):
        await _post(answer, json.dumps({"updated_at": updated_at}).encode())
    answer.answered = loop.time()
    return answer


async def _post(answer: Answer, body: bytes) -> None:
    address = urlsplit(answer.url)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(
            f"POST /sse/environments/{answer.environment}/queue-change HTTP/1.1\r\n"
            f"Host: {address.netloc}\r\nAuthorization: Token {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: keep-alive\r\n\r\n".encode()
            + body
        )
        async with asyncio.timeout(TIMEOUT_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = head.partition("\r\ncontent-length:")[2].partition("\r\n")[0]
            answer.body = await reader.readexactly(int(length or 0))
        answer.kept = "\r\nflagsmith-sse-kept: true\r\n" in head
        answer.status = int(head.split(" ", 2)[1])
    finally:
        writer.close()
