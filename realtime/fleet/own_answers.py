"""What this process answers to the fleet's questions, beside its report."""

from realtime.fleet.agent import Agent, Question
from realtime.fleet.environment.answer import environment_answer
from realtime.fleet.environment.busiest import COUNTS, counts_answer
from realtime.fleet.environment.key_lookup import KEYS, keys_answer
from realtime.fleet.environment.messages import ENVIRONMENT, EnvironmentAnswer
from realtime.fleet.history.minutes import HISTORY, History
from realtime.fleet.history.recorder import Recorder
from realtime.intake.outbox import Outbox
from realtime.lifecycle import Lifecycle
from realtime.sse.hub import Hub


def answers_by_subject(
    agent: Agent, hub: Hub, outbox: Outbox, recorder: Recorder, lifecycle: Lifecycle
) -> dict[str, Question]:
    """What makes each answer, by the subject on which it is asked for."""

    def environment(key: bytes) -> EnvironmentAnswer | None:
        not_ready = lifecycle.not_ready
        return environment_answer(
            key,
            hub,
            outbox,
            me=agent.me(),
            alive=agent.presence.alive(),
            not_ready=not_ready.detail if not_ready else None,
        )

    def history(_: bytes) -> History:
        return History(
            instance=agent.me().instance,
            alive=agent.presence.alive(),
            hour=recorder.hour(),
            past=recorder.past,
        )

    return {
        COUNTS: lambda keys: counts_answer(hub, agent.me().instance, keys),
        ENVIRONMENT: environment,
        HISTORY: history,
        KEYS: lambda short: keys_answer(
            hub, agent.me().instance, agent.presence.alive(), short
        ),
    }
