"""Asking the instances over NATS, from any process: all of them, or one. Where a
service runs it is asked over its bridge's connection; elsewhere, as in a command or in
the Flagsmith API, over one of its own."""

import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar

from realtime.conf import RealtimeSettings
from realtime.fleet.agent import Agent
from realtime.fleet.messages import DRAIN, DrainOrder, Sighting
from realtime.fleet.presence import Presence
from realtime.fleet.timeline.messages import USER_ACTED, UserAction
from realtime.fleet.wire_types import LONGEST_TEXT, decode, encode
from realtime.jetstream.client import FastClient
from realtime.jetstream.connection import connected
from realtime.jetstream.request_many import RequestMany, request_many

CONNECT_SECONDS: Final = 0.8
ANSWER_SECONDS: Final = 1.0
"""Together less than the time within which it must be known that NATS is down."""

MAX_ANSWERS: Final = 1000
"""To one question."""

_presence = Presence()
"""Who has answered lately, where no agent remembers it."""


class FromInstance(Protocol):
    """What an instance answers to a question that all are asked."""

    @property
    def instance(self) -> str:
        """Whose answer it is."""


T = TypeVar("T")
F = TypeVar("F", bound=FromInstance)


class Survey:
    """Questions on one connection. `agent` is this process's own, if it runs one. All
    raise `NatsUnavailable`."""

    def __init__(self, client: FastClient, agent: Agent | None) -> None:
        self.client = client
        self.agent = agent

    async def ask_everybody(
        self,
        subject: str,
        kind: type[F],
        payload: bytes = b"",
        *,
        only: Collection[str] = (),
        seconds: float = ANSWER_SECONDS,
        into: list[F] | None = None,
    ) -> list[F]:
        """Every instance's answer, of `kind`. They are added to `into`, if it is given:
        whoever stops waiting has those that came.

        Waits for the answers of `only` these, if they are given; else until this
        process and as many have answered as it, or any of them, knows to be alive; but
        no longer than `seconds`.
        """
        answers: list[F] = [] if into is None else into
        presence, until = presence_of(self.agent), time.monotonic() + seconds
        own = [self.agent.me().instance] if self.agent else []
        awaited, alive = set(only or own), 0
        async with request_many(self.client) as requests:
            await requests.send(subject, payload)
            while len(answers) < MAX_ANSWERS:
                answer = await next_answer(requests, kind, until)
                if answer is None:
                    break
                answers.append(answer)
                awaited.discard(answer.instance)
                if not only:
                    known = getattr(answer, "alive", 0)
                    alive = max(alive, known, presence.alive())
                if not awaited and len(answers) >= alive:
                    break
        return answers

    async def ask_one(
        self, subject: str, kind: type[T], payload: bytes = b""
    ) -> T | None:
        """The first answer, of `kind`; None: there is none within `ANSWER_SECONDS`."""
        async with request_many(self.client) as requests:
            await requests.send(subject, payload)
            until = time.monotonic() + ANSWER_SECONDS
            return await next_answer(requests, kind, until)


@asynccontextmanager
async def survey(
    settings: RealtimeSettings, agent: Agent | None = None
) -> AsyncIterator[Survey]:
    """Questions over the connection of `agent`, which is this process's own, or over a
    new one. Raises `NatsUnavailable`."""
    shared = agent.client if agent else None
    if shared is not None and shared.is_connected:
        yield Survey(shared, agent)
        return
    async with connected(settings, CONNECT_SECONDS) as client:
        yield Survey(client, agent)


async def next_answer(requests: RequestMany, kind: type[T], until: float) -> T | None:
    """The next reply that is of `kind`; None: there is none `until` then
    (`time.monotonic`)."""
    while (reply := await requests.next_reply(until)) is not None:
        if (answer := decode(reply, kind)) is not None:
            return answer
    return None


def own_answer(
    agent: Agent | None,
    subject: str,
    kind: type[F],
    answers: Collection[F],
    payload: bytes = b"",
) -> F | None:
    """What this process itself answers, if that is lacking in `answers`; None: it is
    not, or this process has no `agent`."""
    if agent is None or any(one.instance == agent.me().instance for one in answers):
        return None
    answer = agent.questions[subject](payload)
    return answer if isinstance(answer, kind) else None


async def drain_instance(
    settings: RealtimeSettings, instance: str, agent: Agent | None = None, by: str = ""
) -> bool:
    """Tell `instance` to end its streams one after the other and to stop, as on
    SIGTERM, by order of the user `by`; whether it has answered that it will. Raises
    `NatsUnavailable`."""
    order = encode(DrainOrder(by[:LONGEST_TEXT]))
    async with survey(settings, agent) as asking:
        return bool(await asking.ask_one(f"{DRAIN}.{instance}", Sighting, order))


async def tell_everybody(
    settings: RealtimeSettings, action: UserAction, agent: Agent | None = None
) -> bool:
    """Tell every instance what a user did; whether any has heard it. Raises
    `NatsUnavailable`."""
    async with survey(settings, agent) as asking:
        return bool(await asking.ask_one(USER_ACTED, Sighting, encode(action)))


def presence_of(agent: Agent | None) -> Presence:
    """Who is known to be alive: by `agent`, or by what this process has heard."""
    return agent.presence if agent else _presence
