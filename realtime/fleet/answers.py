"""What this process answers to the fleet's questions, beside its report."""

from realtime.fleet.agent import Agent, Question
from realtime.fleet.environment.answer import environment_answer
from realtime.fleet.environment.busiest import COUNTS, Counts, counts_answer
from realtime.fleet.environment.key_lookup import KEYS, KeysAnswer, keys_answer
from realtime.fleet.environment.messages import ENVIRONMENT, EnvironmentAnswer
from realtime.fleet.history.minutes import HISTORY, History
from realtime.fleet.history.recorder import Recorder
from realtime.intake.outbox import Outbox
from realtime.lifecycle import Lifecycle
from realtime.sse.hub import Hub


class Answers:
    """Answers for the process of `agent`, from what the other parts know."""

    def __init__(
        self,
        agent: Agent,
        hub: Hub,
        outbox: Outbox,
        recorder: Recorder,
        lifecycle: Lifecycle,
    ) -> None:
        self._agent = agent
        self._hub = hub
        self._outbox = outbox
        self._recorder = recorder
        self._lifecycle = lifecycle

    def by_subject(self) -> dict[str, Question]:
        """What makes each answer, by the subject on which it is asked for."""
        return {
            COUNTS: self._counts,
            ENVIRONMENT: self._environment,
            HISTORY: self._history,
            KEYS: self._keys,
        }

    def _counts(self, keys: bytes) -> Counts | None:
        return counts_answer(self._hub, self._agent.me().instance, keys)

    def _environment(self, key: bytes) -> EnvironmentAnswer | None:
        not_ready = self._lifecycle.not_ready
        return environment_answer(
            key,
            self._hub,
            self._outbox,
            me=self._agent.me(),
            alive=self._agent.presence.alive(),
            not_ready=not_ready.detail if not_ready else None,
        )

    def _history(self, _: bytes) -> History:
        return History(
            instance=self._agent.me().instance,
            alive=self._agent.presence.alive(),
            hour=self._recorder.hour(),
            past=self._recorder.past,
        )

    def _keys(self, short: bytes) -> KeysAnswer | None:
        alive = self._agent.presence.alive()
        return keys_answer(self._hub, self._agent.me().instance, alive, short)
