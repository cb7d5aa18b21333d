"""What came of a probe, for people and machines. Values; nothing runs."""

from msgspec import Struct

from realtime.fleet.terminal_text import printable
from realtime.fleet.units import latency


class Hop(Struct, frozen=True, kw_only=True):
    """A step that was taken: its `name` (`stream`, `publish`, `read` or `received`), in
    words, and how many `seconds` it took. `ok` is None where it cannot be known."""

    name: str
    text: str
    ok: bool | None = True
    seconds: float | None = None


class Fault(Struct, frozen=True):
    """Why it does not work: at which hop, what failed there, and what to do."""

    hop: str
    what: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.advice}".rstrip()


class Result(Struct, frozen=True, kw_only=True):
    """Whether it works (`ok`), the hops as far as it came, and why it came no farther.
    The `seconds` are from the sending of the update to its arrival; None: it did not
    arrive."""

    ok: bool
    url: str
    environment: str
    hops: tuple[Hop, ...] = ()
    fault: Fault | None = None
    seconds: float | None = None

    @property
    def text(self) -> str:
        """The hops in one line. What a stranger's server answered must not give orders
        to a terminal."""
        return " · ".join(printable(hop.text) for hop in self.hops)


def took(what: str, seconds: float) -> str:
    """What was done, and in which time."""
    return f"{what} in {latency(seconds)}"
