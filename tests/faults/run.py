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
from tests.faults.entries import Incident, Violation
from tests.faults.fault import Fault
from tests.faults.ledger import Ledger
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
    publishes were not stored at once, the slowest answer in seconds, updates that are
    owed and that a subscriber missed, updates that `died` with all processes that had
    them and others that reached `nobody`, streams that ended, and whatever was not as
    expected."""

    fault: Fault
    recovery: float
    outage: float
    slowest: float
    lost: int
    died: int
    nobody: int
    affected: int
    complaints: list[str]


@dataclass(frozen=True)
class Verdict:
    """Of a whole run. `complaints` are those that belong to no single fault; `lag` is
    for how much of the time of the slowest answer, in seconds, we ourselves did not get
    the processor."""

    outcomes: list[Outcome]
    complaints: list[str]
    updates: int
    deliveries: int
    slowest_answer: float
    lag: float

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
        outcomes = [
            _outcome(ledger, turn.fault, incident, violations, found)
            for turn, incident, found in zip(
                turns, ledger.incidents, complaints, strict=True
            )
        ]
        texts = [f"{v.at:.2f} {v.rule}: {v.text}" for v in violations]
        slowest = ledger.slowest()
        return Verdict(
            outcomes,
            [*texts, *excess],
            updates=sum(map(len, ledger.published.values())),
            deliveries=sum(len(account.events) for account in ledger.accounts),
            slowest_answer=slowest.seconds,
            lag=ledger.lag_of(slowest),
        )


def _outcome(
    ledger: Ledger,
    fault: Fault,
    incident: Incident,
    violations: list[Violation],
    complaints: list[str],
) -> Outcome:
    lost = [v.at for v in violations if v.rule in ("lost", "untold")]
    gone = ledger.gone(incident)
    return Outcome(
        fault,
        incident.recovery,
        ledger.outage(incident),
        ledger.slowest(incident).seconds,
        lost=sum(map(incident.covers, lost)),
        died=gone["died"],
        nobody=gone["nobody"],
        affected=len(ledger.ended(incident)),
        complaints=complaints,
    )


async def suffer(stand: Stand, turn: Turn) -> list[str]:
    """Inject a fault and wait until everybody is served again; what was amiss."""
    fault = turn.fault
    await asyncio.sleep(turn.gap)
    await stand.in_step()
    incident = Incident(fault.name, stand.now())
    stand.ledger.incidents.append(incident)
    found = []
    rng = Random(turn.seed)
    # What is changed in its first second has no later change that makes up for it.
    changing = asyncio.get_running_loop().call_later(rng.uniform(0, 1), stand.hurry)
    try:
        await fault.inject(stand, incident, rng)
    except Exception as error:
        # At once: what comes next may fail for it.
        say(f"    NOT AS EXPECTED: {error!r}")
        found.append(repr(error))
    changing.cancel()
    incident.healed = min(incident.healed, stand.now())
    await stand.caught_up()
    incident.caught_up = stand.now()
    await stand.served()
    incident.over = stand.now()
    ended = stand.ledger.ended(incident)
    ledger = stand.ledger
    outage, slowest = ledger.outage(incident), ledger.slowest(incident)
    say(
        f"    {incident.begun:.2f} to {incident.over:.2f}: served again after "
        f"{incident.recovery:.2f} s, not stored at once for {outage:.2f} s, slowest "
        f"answer {slowest.seconds:.2f} s ({ledger.lag_of(slowest):.2f} s ours), "
        f"{len(ended)} streams ended, {ledger.rejected(incident)} were refused, gone: "
        f"{ledger.gone(incident)}"
    )
    if incident.recovery > RECOVERY_SECONDS:
        found.append(f"not served again for {incident.recovery:.1f} s")
    if fault.spares and ended:
        found.append(f"{len(ended)} streams ended")
    if fault.clean and (cut := sum(not connection.clean for connection in ended)):
        found.append(f"{cut} streams ended without their last chunk")
    if outage > fault.outage:
        found.append(f"publishes were not stored at once for {outage:.1f} s")
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
