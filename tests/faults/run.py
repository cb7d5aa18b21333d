"""A run: faults, one after the other as scheduled, on one stand."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.faults.cluster import running_cluster
from tests.faults.fault import Fault
from tests.faults.ledger import Incident
from tests.faults.schedule import Turn, schedule
from tests.faults.stand import Stand, running_stand
from tests.support.nats import NatsServer
from tests.support.proxy import running_proxy

RECOVERY_SECONDS: Final = 15.0

STORE_LIMIT: Final = "jetstream: {max_file_store: 32MB}"
"""For the single node, so that its storage can be filled."""


@dataclass(frozen=True)
class Outcome:
    """What one fault did: seconds until everybody was served again, seconds for which
    publishes failed, acknowledged updates that a subscriber missed, streams that ended,
    and whatever was not as expected."""

    fault: Fault
    recovery: float
    outage: float
    lost: int
    affected: int
    complaints: list[str]


@dataclass(frozen=True)
class Verdict:
    """Of a whole run. `complaints` are those that belong to no single fault."""

    outcomes: list[Outcome]
    complaints: list[str]
    updates: int
    deliveries: int
    slowest_answer: float

    @property
    def all_complaints(self) -> list[str]:
        of_faults = [
            f"{outcome.fault.name}: {complaint}"
            for outcome in self.outcomes
            for complaint in outcome.complaints
        ]
        return of_faults + self.complaints


async def run(
    faults: Sequence[Fault], seed: int, seconds: float, *, cluster: bool
) -> Verdict:
    """Inject each of `faults` once, and go on with them for `seconds`.

    What fails is in the verdict. Raises `AssertionError` where nothing can go on.
    """
    # Not removed: the logs are there for whoever wants to know why.
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    rng = Random(seed)
    say(f"seed {seed}, {len(faults)} faults, logs in {folder}")
    async with _stand(folder, rng, cluster=cluster) as stand:
        end = stand.now() + seconds
        turns: list[Turn] = []
        complaints: list[list[str]] = []
        for turn in schedule(faults, seed):
            if len(turns) >= len(faults) and stand.now() > end:
                break
            say(f"  {turn}")
            turns.append(turn)
            complaints.append(await suffer(stand, turn))
        violations, excess = await stand.finish()
        ledger = stand.ledger
        lost = [violation.at for violation in violations if violation.rule == "lost"]
        outcomes = [
            Outcome(
                turn.fault,
                incident.recovery,
                ledger.outage(incident),
                sum(map(incident.covers, lost)),
                len(ledger.ended(incident)),
                found,
            )
            for turn, incident, found in zip(
                turns, ledger.incidents, complaints, strict=True
            )
        ]
        texts = [f"{v.at:.2f} {v.rule}: {v.text}" for v in violations]
        return Verdict(
            outcomes,
            [*texts, *excess],
            updates=sum(map(len, ledger.published.values())),
            deliveries=sum(len(account.events) for account in ledger.accounts),
            slowest_answer=ledger.slowest_answer(),
        )


async def suffer(stand: Stand, turn: Turn) -> list[str]:
    """Inject a fault and wait until everybody is served again; what was amiss."""
    fault = turn.fault
    await asyncio.sleep(turn.gap)
    await stand.in_step()
    incident = Incident(fault.name, stand.now())
    stand.ledger.incidents.append(incident)
    found = []
    try:
        await fault.inject(stand, incident, Random(turn.seed))
    except Exception as error:
        # At once: what comes next may fail for it.
        say(f"    NOT AS EXPECTED: {error!r}")
        found.append(repr(error))
    incident.healed = min(incident.healed, stand.now())
    await stand.caught_up()
    incident.caught_up = stand.now()
    await stand.served()
    incident.over = stand.now()
    ended = stand.ledger.ended(incident)
    outage = stand.ledger.outage(incident)
    say(
        f"    {incident.begun:.2f} to {incident.over:.2f}: served again after "
        f"{incident.recovery:.2f} s, publishes failed for {outage:.2f} s, "
        f"{len(ended)} streams ended, {stand.ledger.rejected(incident)} were refused"
    )
    if incident.recovery > RECOVERY_SECONDS:
        found.append(f"not served again for {incident.recovery:.1f} s")
    if fault.spares and ended:
        found.append(f"{len(ended)} streams ended")
    if fault.clean and (cut := sum(not connection.clean for connection in ended)):
        found.append(f"{cut} streams ended without their last chunk")
    if outage > fault.outage:
        found.append(f"publishes failed for {outage:.1f} s")
    for complaint in found:
        say(f"    NOT AS EXPECTED: {complaint}")
    return found


@asynccontextmanager
async def _stand(folder: Path, rng: Random, *, cluster: bool) -> AsyncIterator[Stand]:
    with ExitStack() as stack:
        if cluster:
            found = stack.enter_context(running_cluster(folder))
            every = ",".join(node.url for node in found.nodes)
            urls = dict.fromkeys(("workers", "serve", "daphne"), every)
            async with running_stand(
                found.nodes, urls, folder, rng, cluster=found
            ) as stand:
                yield stand
            return
        config = folder / "nats.conf"
        config.write_text(STORE_LIMIT)
        node = NatsServer(folder / "nats", arguments=(f"--config={config}",))
        node.start()
        stack.callback(node.stop)
        proxy = stack.enter_context(running_proxy(node.url))
        urls = {"workers": proxy.url, "serve": node.url, "daphne": node.url}
        async with running_stand([node], urls, folder, rng, proxy=proxy) as stand:
            yield stand


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
