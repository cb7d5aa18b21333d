"""A worker, as its supervisor sees it."""

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from realtime.monitoring.metric_families import Family
from realtime.server import messages

BEAT_SECONDS: Final = 1.0
"""How often a worker is asked how it is."""

HUNG_BEATS: Final = 10
"""So many seconds without an answer, and the worker is taken to hang. A garbage
collection of a million objects takes one second; an event loop that does not get round
in ten serves nobody."""

START_BEATS: Final = 30
"""So many seconds until a worker that was started says its first word, times how many
workers share a processor: its imports take one second of a processor's time."""

SILENT_BEATS: Final = 2
"""Whoever has not answered for so long is not waited for, and not taken to be ready."""

LAST_WORDS_SECONDS: Final = 1.0


class WorkerProcess:
    """A worker's process, the slot that it is for, our end of its lifeline, and the
    socket it listens on.

    `generation` counts the commands to replace all workers that were given before it
    was started. `on_message` gets what it says beside its answers.

    It is asked once in a `beat`, and silence is counted in the supervisor's own beats:
    where the whole machine, or container, stood still, the supervisor has missed no
    answer that was owed.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        slot: int,
        generation: int,
        listener: socket.socket,
        on_message: "Callable[[WorkerProcess, messages.AnyMessage], None]",
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
        """Its exit code, when its process has ended and its last words are read."""
        self._listens: asyncio.Future[bool] = loop.create_future()
        self._asked = 0
        self._owed: dict[int, asyncio.Future[None]] = {}
        self._silence = 0
        self._has_spoken = False

    async def attach(self, lifeline: socket.socket) -> None:
        """Begin to speak with it."""
        reader, self._writer = await asyncio.open_unix_connection(sock=lifeline)
        self._reading = asyncio.create_task(self._read(reader))

    async def listens(self, within: float) -> bool:
        """Wait until it accepts connections; False if it died or takes too long."""
        done, _ = await asyncio.wait([self._listens], timeout=within)
        return bool(done) and self._listens.result()

    @property
    def has_hung_up(self) -> bool:
        """Whether its end of the lifeline is closed: it ends, or has ended."""
        return self._reading.done()

    def tell(self, message: messages.Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(messages.frame_of(message))

    def send(self, number: int) -> None:
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
        too long, which is `start_beats` until it first speaks."""
        patience = HUNG_BEATS if self._has_spoken else start_beats
        return self._silence >= patience and not _is_traced(self.pid)

    async def wait(self) -> int:
        """Wait until its process has ended, and its last words are read."""
        code = await self.process.wait()
        await asyncio.wait([self._reading], timeout=LAST_WORDS_SECONDS)
        self._reading.cancel()
        self._writer.close()
        self._hang_up()
        return code

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while message := await messages.read_message(reader):
            self._has_spoken = True
            self._silence = 0
            match message:
                case messages.Listening() if not self._listens.done():
                    self._listens.set_result(True)
                    self._on_message(self, message)
                case messages.Told():
                    self._note(message)
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

    def _note(self, told: messages.Told) -> None:
        self.families = told.families or self.families
        self.not_ready = told.not_ready
        owed = self._owed.pop(told.number or 0, None)
        if owed is not None and not owed.done():
            owed.set_result(None)

    def _owe_nothing(self) -> None:
        for owed in self._owed.values():
            if not owed.done():
                owed.set_result(None)
        self._owed.clear()


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
