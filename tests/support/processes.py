"""What Linux tells of other processes: whether they run, and their sockets."""

from dataclasses import dataclass
from pathlib import Path

ESTABLISHED = "01"
LISTENING = "0A"


@dataclass(frozen=True)
class Sockets:
    """The inodes of a process's sockets on one local port."""

    listening: set[str]
    connected: set[str]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def was_started_with(pid: int, text: str) -> bool:
    """Whether the process runs and has `text` in its environment: it is no other that
    got the same number."""
    try:
        return text.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def working_in(folder: Path) -> list[int]:
    """The processes whose working directory is `folder`."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder:
                found.append(int(link.parent.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # gone meanwhile, or another user's
    return found


def file_limits(pid: int) -> tuple[str, str]:
    """Its soft and its hard limit of open files."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            soft, hard = line.split()[3:5]
            return soft, hard
    raise AssertionError("no limit of open files")


def sockets(pid: int, port: int) -> Sockets:
    """Its sockets on the local `port`."""
    links = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    by_state: dict[str, set[str]] = {LISTENING: set(), ESTABLISHED: set()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            if (
                state in by_state
                and int(local.rpartition(":")[2], 16) == port
                and f"socket:[{inode}]" in links
            ):
                by_state[state].add(inode)
    return Sockets(by_state[LISTENING], by_state[ESTABLISHED])
