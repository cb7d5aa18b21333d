"""A worker's process, as its supervisor sees it."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from realtime.monitoring.metric_families import Family
from realtime.process import WORKER
from realtime.server import messages
from realtime.server.worker import INHERITED

BEAT_SECONDS: Final = 1.0
"""How often a worker is asked how it is."""

HUNG_BEATS: Final = 10
"""So many seconds without an answer, and the worker is taken to hang. A garbage
collection of a million objects takes one second; an event loop that does not get round
in ten serves nobody."""

START_BEATS: Final = 30
"""So many seconds until a worker that was started answers first, times how many workers
share a processor: its imports take one second of a processor's time."""

SILENT_BEATS: Final = 2
"""Whoever has not answered for so long is not waited for, and not taken to be ready."""

LAST_MESSAGES_SECONDS: Final = 1.0

OnMessage: TypeAlias = "Callable[[WorkerProcess, messages.AnyMessage], None]"


class WorkerProcess:
    """A worker's process, our end of the `link` to it, the `slot` that it is for, and
    the `listener` it accepts on.

    `generation` counts the commands to replace all workers that were given before it
    was started. `on_message` gets what it sends beside its answers.

    It is asked once in a `beat`, and silence is counted in the supervisor's own beats:
    where the whole machine, or container, stood still, the supervisor has missed no
    answer that was owed.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        link: messages.Link,
        slot: int,
        generation: int,
        listener: socket.socket,
        on_message: OnMessage,
    ) -> None:
        self.process = process
        self.pid = process.pid
        self.slot = slot
        self.generation = generation
        self.listener = listener
        self.families: list[Family] = []
        self.not_ready: str | None = "It has not answered yet."
        self.wants_to_leave = False
        self._on_message = on_message
        loop = asyncio.get_running_loop()
        self.replaced: asyncio.Future[None] = loop.create_future()
        """Done when another has taken its place; it is on its way out."""
        self.ended: asyncio.Future[int] = loop.create_future()
        """Its exit code, when its process has ended and its last messages are read."""
        self._listens: asyncio.Future[bool] = loop.create_future()
        self._asked = 0
        self._owed: dict[int, asyncio.Future[None]] = {}
        self._silence = 0
        self._has_answered = False
        self._link = link
        self._reading = loop.create_task(self._read())

    @classmethod
    async def start(
        cls,
        slot: int,
        generation: int,
        listener: socket.socket,
        environment: dict[str, str],
        on_message: OnMessage,
    ) -> "WorkerProcess":
        """Start one: this same command line again, with `environment` and what else it
        has to know. Raises `OSError`, and has left nothing open then."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = theirs.fileno(), listener.fileno()
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *sys.orig_argv[1:],
                    env={
                        **environment,
                        INHERITED: ",".join(map(str, descriptors)),
                        WORKER: str(slot),
                    },
                    pass_fds=descriptors,
                    stdin=asyncio.subprocess.DEVNULL,
                    # Ctrl-C in a terminal is for the supervisor, which passes it on.
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        link = await messages.Link.over(ours)
        return cls(process, link, slot, generation, listener, on_message)

    async def listens(self, within: float) -> bool:
        """Wait until it accepts connections; False if it died or takes too long."""
        done, _ = await asyncio.wait([self._listens], timeout=within)
        return bool(done) and self._listens.result()

    @property
    def has_hung_up(self) -> bool:
        """Whether its end of the link is closed: it ends, or has ended."""
        return self._reading.done()

    def tell(self, message: messages.Message) -> None:
        self._link.send(message)

    def signal(self, number: int) -> None:
        """Send it the signal `number`, if it still runs."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    def ask(self) -> asyncio.Future[None]:
        """Ask it how it is; done when that is known, or when it has ended."""
        # Two at most: one that hangs reads nothing, and the socket would fill.
        if len(self._owed) < 2:
            self._asked += 1
            self._owed[self._asked] = asyncio.get_running_loop().create_future()
            self.tell(messages.Ask(self._asked))
        return self._owed[self._asked]

    def beat(self) -> None:
        """Once every `BEAT_SECONDS`."""
        if self._owed:
            self._silence += 1
        else:
            self.ask()

    @property
    def silent(self) -> bool:
        """Whether it owes an answer for longer than one that is well would."""
        return self._silence >= SILENT_BEATS

    def hangs(self, start_beats: int = START_BEATS) -> bool:
        """Whether it is to be killed: no debugger holds it, and it has not answered for
        too long, which is `start_beats` until it first answers."""
        patience = HUNG_BEATS if self._has_answered else start_beats
        return self._silence >= patience and not _is_traced(self.pid)

    async def wait(self) -> int:
        """Wait until its process has ended, and its last messages are read."""
        code = await self.process.wait()
        await asyncio.wait([self._reading], timeout=LAST_MESSAGES_SECONDS)
        self._reading.cancel()
        self._link.close()
        self._hang_up()
        return code

    async def _read(self) -> None:
        while message := await self._link.receive():
            self._has_answered = True
            self._silence = 0
            match message:
                case messages.Listening() if not self._listens.done():
                    self._listens.set_result(True)
                    self._on_message(self, message)
                case messages.Status(families, number, not_ready):
                    self.families = families or self.families
                    self.not_ready = not_ready
                    _finish(self._owed.pop(number or 0, None))
                case messages.Unknown():
                    self._owe_nothing()
                case _:
                    self._on_message(self, message)
        self._hang_up()

    def _hang_up(self) -> None:
        """Nothing more will come from it."""
        self._owe_nothing()
        if not self._listens.done():
            self._listens.set_result(False)

    def _owe_nothing(self) -> None:
        while self._owed:
            _finish(self._owed.popitem()[1])


def _finish(owed: asyncio.Future[None] | None) -> None:
    if owed is not None and not owed.done():
        owed.set_result(None)


def reason_of(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        # The real-time signals have none in Python.
        return f"killed by {names.get(-code, f'signal {-code}')}"
    return f"exit code {code}"


def _is_traced(pid: int) -> bool:
    """Whether a debugger holds the process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "TracerPid:\t0\n" not in status
