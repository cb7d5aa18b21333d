"""Starts a worker: this same command line again, with what it inherits."""

import asyncio
import socket
import sys
from collections.abc import Callable

from realtime.process import WORKER
from realtime.server import messages
from realtime.server.supervisor_link import VARIABLE
from realtime.server.worker_process import WorkerProcess


async def spawn(
    slot: int,
    generation: int,
    listener: socket.socket,
    environment: dict[str, str],
    on_message: Callable[[WorkerProcess, messages.AnyMessage], None],
) -> WorkerProcess:
    """Start a worker for `slot` on `listener`, with `environment` and what else it has
    to know. Raises `OSError`, and has left nothing open then."""
    ours, theirs = socket.socketpair()
    with theirs:
        descriptors = theirs.fileno(), listener.fileno()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],
                env={
                    **environment,
                    VARIABLE: ",".join(str(descriptor) for descriptor in descriptors),
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
    worker = WorkerProcess(process, slot, generation, listener, on_message)
    await worker.attach(ours)
    return worker
