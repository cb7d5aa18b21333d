"""What `serve --with-nats` prints: lines that work when they are pasted into another
terminal."""

import os
import shlex
import sys
from pathlib import Path
from typing import Final

from django.conf import settings

from realtime.conf import configured, servers_in
from realtime.server.settings import LISTEN_ADDR, SERVER_BASE_URL
from realtime.tokens import tokens_in

ENVIRONMENT: Final = "my-environment"


_AT_LOCALHOST: Final = ("", "0.0.0.0", "[::]", "127.0.0.1", "localhost")  # noqa: S104
"""Hosts of `LISTEN_ADDR` where a service on this machine is found at `localhost`."""


def own_url(port: int) -> str:
    """Where this machine finds the service that listens on `port`, by Django's
    settings."""
    host = configured(LISTEN_ADDR).rpartition(":")[0]
    return f"http://{'localhost' if host in _AT_LOCALHOST else host}:{port}"


def greeting(port: int) -> str:
    """For the service on `port`, with the token and the NATS that are in Django's
    settings. Passwords of NATS are left out: whoever has set them knows them."""
    url = own_url(port)
    token = tokens_in(settings.SSE_AUTHENTICATION_TOKEN)[0]
    endpoints = f"{url}/sse/environments/{ENVIRONMENT}"
    variables = {"SSE_AUTHENTICATION_TOKEN": token}
    if "@" not in (nats_url := ",".join(servers_in(settings.NATS_URL))):
        variables["NATS_URL"] = nats_url
    if configured(SERVER_BASE_URL).rstrip("/") != url:
        variables["SSE_SERVER_BASE_URL"] = url
    exported = " ".join(f"{k}={shlex.quote(v)}" for k, v in variables.items())
    *surroundings, program = _command_line()
    return "\n".join(
        (
            "",
            f"Real-time updates on {url}, process {os.getpid()}; Ctrl-C stops it.",
            "",
            "A stream, for a second terminal:",
            "",
            f"  curl -N {endpoints}/stream",
            "",
            "An update, which arrives there, and whether the service is ready:",
            "",
            # The present time: JavaScript's SDK ignores what is older than its flags.
            f"  curl -i {endpoints}/queue-change "
            f"-H {shlex.quote(f'Authorization: Token {token}')} "
            "-H 'Content-Type: application/json' "
            # A date: Flutter's SDK ignores what is a whole number.
            r'-d "{\"updated_at\": \"$(date -u +%FT%TZ)\"}"',
            f"  curl {url}/readyz",
            "",
            "The service's own commands:",
            "",
            *(f"  {line}" for line in surroundings),
            f"  export {exported}",
            f"  {program} fleet",
            f"  {program} probe",
            f"  {program} publish_update {ENVIRONMENT}",
            f"  {program} help",
            "",
        )
    )


def _command_line() -> list[str]:
    """How this program is called from another terminal: what makes it possible, a line
    each, and at last its name."""
    called = Path(sys.argv[0])
    script = called.name not in ("manage.py", "__main__.py")
    folder = called.resolve().parent if called.name == "manage.py" else Path.cwd()
    lines = [] if script else [f"cd {shlex.quote(str(folder))}"]
    activate = Path(sys.prefix) / "bin" / "activate"
    in_environment = sys.prefix != sys.base_prefix and activate.exists()
    if in_environment:
        if not script and activate.is_relative_to(folder):
            activate = activate.relative_to(folder)
        lines.append(f". {shlex.quote(str(activate))}")
    if script:
        program = called.name if in_environment else shlex.quote(str(called.absolute()))
        return [*lines, program]
    python = "python" if in_environment else shlex.quote(sys.executable)
    arguments = "manage.py" if called.name == "manage.py" else "-m flagsmith_sse"
    return [*lines, f"{python} {arguments}"]
