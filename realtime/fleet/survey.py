"""Asking the instances over NATS, from any process: all of them, or one. Where a
service runs it is asked over its bridge's connection; elsewhere, as in a command or in
the Flagsmith API, over one of its own."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from realtime.conf import RealtimeSettings
from realtime.exceptions import NatsUnavailable
from realtime.fleet.messages import (
    DRAIN,
    LONGEST_TEXT,
    REPORT,
    Answer,
    DrainOrder,
    InstanceReport,
    Sighting,
    decode,
    encode,
)
from realtime.fleet.presence import Roll
from realtime.fleet.timeline.events import Dismissed, TestUpdate
from realtime.fleet.timeline.messages import TOLD
from realtime.jetstream.client import FastClient
from realtime.jetstream.connection import close, connect, describe

if TYPE_CHECKING:
    from realtime.service import RealtimeService

CONNECT_SECONDS: Final = 0.8
ANSWER_SECONDS: Final = 1.0
"""Together less than the time within which it must be known that NATS is down."""

MAX_ANSWERS: Final = 1000
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of all answers to one question; the longest of an instance has some 60 kB."""

_NO_RESPONDERS: Final = "503"

_roll = Roll()
"""Who has answered lately, where no service remembers it."""

T = TypeVar("T")


class FromInstance(Protocol):
    """What an instance answers to a question that all are asked."""

    @property
    def instance(self) -> str:
        """Whose answer it is."""

    @property
    def alive(self) -> int:
        """How many instances it knows to be alive, itself included."""


A = TypeVar("A", bound=FromInstance)


@asynccontextmanager
async def nats_client(
    settings: RealtimeSettings, service: "RealtimeService | None" = None
) -> AsyncIterator[FastClient]:
    """A connection to NATS: that of `service`, if it has one. Raises
    `NatsUnavailable`."""
    shared = service.agent.client if service else None
    if shared is not None and shared.is_connected:
        yield shared
        return
    client = await connect(settings, on_closed=_on_closed, seconds=CONNECT_SECONDS)
    try:
        yield client
    finally:
        await close(client)


class Inquiry:
    """A question that many may answer, each as often as it likes."""

    def __init__(self, client: Client, inbox: Subscription) -> None:
        self._client = client
        self._inbox = inbox

    async def ask(self, subject: str, payload: bytes = b"") -> None:
        """Raises `NatsUnavailable`."""
        try:
            await self._client.publish(subject, payload, reply=self._inbox.subject)
        except nats.errors.Error as error:
            raise NatsUnavailable(f"Cannot ask: {describe(error)}") from error

    async def collect(
        self,
        kind: type[T],
        enough: Callable[[list[T]], bool],
        seconds: float,
        into: list[T] | None = None,
    ) -> list[T]:
        """The answers of `kind` that come within `seconds`, or until they are `enough`
        or there is nobody to answer. They are added to `into`, if it is given."""
        answers: list[T] = [] if into is None else into
        until, room = time.monotonic() + seconds, MAX_BYTES
        with suppress(TimeoutError, nats.errors.Error):
            # Where messages come without a pause nats-py takes no notice of a time-out.
            while (
                (left := until - time.monotonic()) > 0
                and room > 0
                and len(answers) < MAX_ANSWERS
                and not (answers and enough(answers))
            ):
                message = await self._inbox.next_msg(timeout=left)
                if (message.headers or {}).get("Status") == _NO_RESPONDERS:
                    break
                room -= len(message.data)
                if (answer := decode(message.data, kind)) is not None:
                    answers.append(answer)
        return answers


@asynccontextmanager
async def inquiry(client: Client) -> AsyncIterator[Inquiry]:
    """An inquiry with an inbox of its own on `client`. Raises `NatsUnavailable`."""
    try:
        inbox = await client.subscribe(client.new_inbox())
    except nats.errors.Error as error:
        raise NatsUnavailable(f"Cannot ask: {describe(error)}") from error
    try:
        yield Inquiry(client, inbox)
    finally:
        with suppress(nats.errors.Error):
            await inbox.unsubscribe()


async def ask_everybody(
    client: Client,
    service: "RealtimeService | None",
    subject: str,
    kind: type[A],
    payload: bytes = b"",
    into: list[A] | None = None,
    *,
    at_least: int = 0,
    seconds: float = ANSWER_SECONDS,
) -> list[A]:
    """Every instance's answer, of `kind`, to what is asked on `subject`. `service` is
    this process's own, if it runs one. The answers are added to `into`, if it is given:
    whoever stops waiting has those that came.

    Waits until as many have answered as any of them, or this process, knows to be
    alive, and `at_least` so many, but no longer than `seconds`. Raises
    `NatsUnavailable`.
    """
    roll = roll_of(service)
    me = service.reporter.me().instance if service else None

    def enough(answers: list[A]) -> bool:
        alive = max(at_least, roll.alive(), *(answer.alive for answer in answers))
        heard = me is None or any(answer.instance == me for answer in answers)
        return heard and len(answers) >= alive

    async with inquiry(client) as question:
        await question.ask(subject, payload)
        return await question.collect(kind, enough, seconds, into)


async def find_instance(
    settings: RealtimeSettings, instance: str, service: "RealtimeService | None" = None
) -> InstanceReport | None:
    """The report of `instance`; None if it does not answer. `service` is this process's
    own, if it runs one. Raises `NatsUnavailable`."""
    async with nats_client(settings, service) as client, inquiry(client) as question:
        await question.ask(f"{REPORT}.{instance}")
        answers = await question.collect(Answer, bool, ANSWER_SECONDS)
    return answers[0].report if answers else None


async def drain_instance(
    settings: RealtimeSettings,
    instance: str,
    service: "RealtimeService | None" = None,
    by: str = "",
) -> bool:
    """Tell `instance` to end its streams one after the other and to stop, as on
    SIGTERM, by order of the user `by`; whether it has answered that it will. `service`
    is this process's own, if it runs one. Raises `NatsUnavailable`."""
    async with nats_client(settings, service) as client, inquiry(client) as question:
        order = encode(DrainOrder(by[:LONGEST_TEXT]))
        await question.ask(f"{DRAIN}.{instance}", order)
        return bool(await question.collect(Sighting, bool, ANSWER_SECONDS))


async def tell_everybody(
    settings: RealtimeSettings,
    told: Dismissed | TestUpdate,
    service: "RealtimeService | None" = None,
) -> bool:
    """Tell every instance what a user did; whether any has heard it. `service` is this
    process's own, if it runs one. Raises `NatsUnavailable`."""
    async with nats_client(settings, service) as client, inquiry(client) as question:
        await question.ask(TOLD, encode(told))
        return bool(await question.collect(Sighting, bool, ANSWER_SECONDS))


def roll_of(service: "RealtimeService | None") -> Roll:
    """Who is known to be alive: by `service`, or by what this process has heard."""
    return service.agent.roll if service else _roll


async def _on_closed() -> None:
    """Whoever asks hears of it by the time-out."""
