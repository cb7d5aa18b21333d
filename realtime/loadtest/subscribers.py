"""One process of subscribers: one epoll loop over all their connections.

Everybody gets the same bytes, so only the first to get them decodes them; for the
others an event is one read, one comparison and two stores.
"""

import gc
import select
import signal
import socket
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe
from typing import Final

from realtime.loadtest.connections import READ_BYTES, Connection, Connector
from realtime.loadtest.delivery_tally import DeliveryTally, TalliedUpdate
from realtime.loadtest.messages import Announce, Order, Progress
from realtime.loadtest.options import LoadTestOptions
from realtime.loadtest.ramp import Ramp
from realtime.process import raise_file_limit

REPORT_SECONDS: Final = 0.25
RAMP_STEP_SECONDS: Final = 0.005
ANSWER_SECONDS: Final = 30
"""How long the service may take to answer a subscriber."""

MAX_EVENTS: Final = 512
FEW_EVENTS: Final = 64
MANY_DELIVERIES: Final = 1000
PAUSE_SECONDS: Final = 0.0002
"""To wake for every event costs more than to read it. After `FEW_EVENTS` the loop
pauses, once an update has come to `MANY_DELIVERIES`: some 10 ms after the first, which
makes the pause next to nothing in a latency."""

IN: Final = select.EPOLLIN
# Edge-triggered: the kernel need not look at each again at the next call.
OPEN: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
CONNECTING: Final = OPEN | select.EPOLLOUT


def subscribe(options: LoadTestOptions, address: str, share: range, pipe: Pipe) -> None:
    """The main function of a process: open the streams with the numbers in `share` at
    the IP address `address`, and report through `pipe` until told to finish.

    It ends with its parent, whichever way that ends.
    """
    # Ctrl-C in a terminal is for the parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_file_limit()
    # Nothing here is a cycle.
    gc.disable()
    connector = Connector(options.streams, address, options.subscribers)
    ramp = Ramp(share, options.ramp / options.processes, time.monotonic())
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        Subscribers(connector, len(options.streams), ramp, pipe).run()


class Subscribers:
    """The subscribers of one process. Their sockets' descriptors serve as their numbers
    here, which is why no socket is closed before the end."""

    def __init__(
        self, connector: Connector, environments: int, ramp: Ramp, pipe: Pipe
    ) -> None:
        self._connector = connector
        self._ramp = ramp
        self._pipe = pipe
        self._epoll = select.epoll()
        # Not EPOLLIN: `_handle` would read it like a connection.
        self._epoll.register(pipe.fileno(), select.EPOLLRDNORM)
        self._connections: dict[int, Connection] = {}
        self._waiting: dict[int, Connection] = {}  # the longest first
        self._closed: list[Connection] = []
        slots = len(ramp.left) + max(self._epoll.fileno(), pipe.fileno()) + 64
        # Of each environment: 1 for each stream that is open.
        self._streams = [bytearray(slots) for _ in range(environments)]
        self._tally = DeliveryTally(slots)
        self._frame: bytes | None = None
        self._update = TalliedUpdate(0, bytearray(slots))
        self._connected = self._dropped = 0
        self._reasons: Counter[str] = Counter()
        self._finishing = False
        self._cpu = time.process_time()

    def run(self) -> None:
        next_report = 0.0
        while True:
            events = self._epoll.poll(
                RAMP_STEP_SECONDS if self._ramp.left else REPORT_SECONDS, MAX_EVENTS
            )
            self._handle(events)
            few = 0 < len(events) < FEW_EVENTS
            if few and len(self._update.times) > MANY_DELIVERIES:
                time.sleep(PAUSE_SECONDS)
            now = time.monotonic()
            self._open(now)
            if now < next_report and not self._finishing:
                continue
            next_report = now + REPORT_SECONDS
            self._give_up_waiting(now)
            for result in self._tally.settle(time.time()):
                self._pipe.send(result)
            finished = self._finishing and self._tally.is_settled
            self._pipe.send(self._progress(finished))
            if finished:
                return

    def _handle(self, events: list[tuple[int, int]]) -> None:
        """Handle what epoll says. This loop is what the load test costs."""
        read, now = self._connector.read, time.time
        update, frame = self._update, self._frame
        got, arrived = update.got, update.times.append
        for descriptor, mask in events:
            data = b""
            if mask == IN:
                try:  # noqa: SIM105  `suppress` takes its time
                    data = read(descriptor, READ_BYTES)
                except OSError:
                    pass  # `_handle_one` will meet it again
                if data == frame:
                    if got[descriptor]:
                        update.duplicates += 1
                    else:
                        got[descriptor] = 1
                        arrived(now())
                    continue
            self._handle_one(descriptor, mask, data)
            update, frame = self._update, self._frame
            got, arrived = update.got, update.times.append

    def _handle_one(self, descriptor: int, mask: int, data: bytes) -> None:
        """Handle an event of another kind; `data` was read already."""
        connection = self._connections.get(descriptor)
        if connection is None:
            if descriptor == self._pipe.fileno():
                self._receive()
            return
        try:
            if not connection.is_open:
                if self._connector.advance(connection):
                    self._epoll.modify(descriptor, OPEN)
                return
            ended = False
            if mask != IN or not 0 < len(data) < READ_BYTES:
                rest, ended = self._read_rest(descriptor)
                data += rest
        except OSError as error:
            self._close(descriptor, error.strerror or str(error))
            return
        if data:
            self._decode(descriptor, connection, data)
        if descriptor in self._connections and (ended or connection.decoder.ended):
            self._close(descriptor, "closed without an answer")

    def _read_rest(self, descriptor: int) -> tuple[bytes, bool]:
        """All that is there, and whether it was the end."""
        parts: list[bytes] = []
        try:
            while part := self._connector.read(descriptor, 65_536):
                parts.append(part)
        except BlockingIOError:
            return b"".join(parts), False
        return b"".join(parts), True

    def _decode(self, descriptor: int, connection: Connection, data: bytes) -> None:
        decoder = connection.decoder
        whole = decoder.is_between_events
        values = decoder.feed(data)
        if descriptor in self._waiting and decoder.status:
            if decoder.status != 200:
                self._close(descriptor, str(decoder.status))
                return
            del self._waiting[descriptor]
            self._connected += 1
            self._streams[connection.environment][descriptor] = 1
        for value in values:
            update = self._tally.update(value)
            if update.got[descriptor]:
                update.duplicates += 1
            else:
                update.got[descriptor] = 1
                update.times.append(time.time())
            if whole and decoder.is_between_events and len(values) == 1:
                # Exactly what everybody else gets.
                self._update, self._frame = update, data

    def _close(self, descriptor: int, why: str) -> None:
        """A connection that has ended, or is as good as that."""
        connection = self._connections.pop(descriptor)
        self._epoll.unregister(descriptor)
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)
        self._closed.append(connection)
        streams = self._streams[connection.environment]
        if streams[descriptor]:
            streams[descriptor] = 0
            self._dropped += 1
        elif self._waiting.pop(descriptor, None):
            self._reasons[why] += 1

    def _receive(self) -> None:
        match self._pipe.recv():
            case Order.BEGIN:
                self._cpu = time.process_time()
            case Announce(value, due, environment):
                self._tally.announce(value, due, self._streams[environment])
            case Order.FINISH:
                self._finishing = True
                self._ramp.stop()
                self._waiting.clear()

    def _open(self, now: float) -> None:
        """Begin to connect those whose turn it is."""
        for number in self._ramp.due(now):
            try:
                connection = self._connector.start(number, now)
            except OSError as error:
                self._reasons[error.strerror or str(error)] += 1
                continue
            descriptor = connection.socket.fileno()
            self._connections[descriptor] = self._waiting[descriptor] = connection
            self._epoll.register(descriptor, CONNECTING)

    def _give_up_waiting(self, now: float) -> None:
        for descriptor, connection in list(self._waiting.items()):
            if connection.since > now - ANSWER_SECONDS:
                return  # as is everybody after it
            self._close(descriptor, f"no answer within {ANSWER_SECONDS} s")

    def _progress(self, finished: bool) -> Progress:
        return Progress(
            waiting=len(self._waiting) + len(self._ramp.left),
            connected=self._connected,
            rejected=self._reasons.total(),
            dropped=self._dropped,
            received=self._tally.received,
            duplicates=self._tally.duplicates,
            reasons=self._reasons,
            cpu=time.process_time() - self._cpu,
            finished=int(finished),
        )
