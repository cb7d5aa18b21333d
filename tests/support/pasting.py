"""The lines that `serve --with-nats` prints, pasted into real terminals."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.fresh import fresh_variables


def printed_lines(output: str) -> list[str]:
    """Those that are there to be pasted: they are indented by two."""
    return re.findall(r"^  (\S.*)$", output, re.MULTILINE)


def paste(lines: list[str]) -> str:
    """What a new shell, which knows nothing, prints when `lines` are pasted into it one
    after the other; fails if one of them fails."""
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e"],
        input="\n".join(lines) + "\n",
        env=fresh_variables(),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def pasted_stream(line: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The shell in which `line`, which opens a stream, was pasted; returns when the
    stream has begun. Its end is the shell's."""
    with subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-c", f"exec {line}"],
        env=fresh_variables(),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as shell:
        try:
            assert shell.stdout is not None
            assert shell.stdout.readline().startswith(b"retry:")
            assert shell.stdout.readline() == b"\n"
            yield shell
        finally:
            if shell.poll() is None:
                shell.kill()
