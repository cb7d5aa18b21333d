"""The double of the Flagsmith API as processes: code that runs in it, and its task
processor."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.flagsmith_api.installation import HERE, flagsmith_python
from tests.support.fresh import fresh_variables
from tests.support.service import ROOT
from tests.support.waiting import eventually

NOBODY_LISTENS = "http://127.0.0.1:9"
"""What goes by HTTP arrives nowhere."""

START_SECONDS = 30
STOP_SECONDS = 30

SET_UP = "import django; django.setup()"
MAKE_TABLES = """
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
"""
CREATE = """
from datetime import UTC, datetime
from environments.models import Environment
from projects.models import Project
project = Project.objects.create()
for key in arguments["keys"]:
    Environment.objects.create(
        project=project, api_key=key, updated_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
answer = project.pk
"""
CHANGE_PROJECT = """
from datetime import datetime
from environments.models import Environment
from projects.models import Project
from sse import send_environment_update_message_for_project
project = Project.objects.get(pk=arguments["project"])
at = datetime.fromisoformat(arguments["at"])
Environment.objects.filter(project=project).update(updated_at=at)
send_environment_update_message_for_project(project)
"""
CHANGE_ENVIRONMENT = """
from datetime import datetime
from environments.models import Environment
from sse import send_environment_update_message_for_environment
environment = Environment.objects.get(api_key=arguments["key"])
environment.updated_at = datetime.fromisoformat(arguments["at"])
environment.save()
send_environment_update_message_for_environment(environment)
"""
TASKS = """
SELECT coalesce(json_agg(json_build_object(
    'waits', NOT completed AND num_failures < 3,
    'failures', num_failures,
    'seconds', extract(epoch FROM scheduled_for - created_at)
) ORDER BY id), '[]')
FROM task_processor_task WHERE position(:'key' IN serialized_args) > 0
"""


@dataclass(frozen=True)
class Flagsmith:
    """`variables` are those of its processes' environment."""

    variables: dict[str, str] = field(default_factory=dict)
    path: tuple[Path, ...] = (HERE / "api", ROOT)

    def environment(self) -> dict[str, str]:
        return fresh_variables(
            DJANGO_SETTINGS_MODULE="app.settings",
            PYTHONPATH=os.pathsep.join(map(str, self.path)),
            PYTHONDONTWRITEBYTECODE="1",
            **self.variables,
        )

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Its `manage.py`, to its end."""
        return subprocess.run(
            [flagsmith_python(), "-m", "django", *arguments],
            cwd=self.path[0],  # which `-m` puts before the others
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, code: str, **arguments: Any) -> Any:
        """What `code` leaves in `answer`, a JSON value; `arguments` is a dictionary
        there."""
        lines = [
            SET_UP,
            f"import json; arguments = json.loads({json.dumps(arguments)!r})",
            "answer = None",
            code,
            "print(json.dumps(answer))",
        ]
        done = subprocess.run(
            [flagsmith_python(), "-c", "\n".join(lines)],
            cwd=HERE / "api",
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def create(self, keys: list[str]) -> int:
        """A new project with environments of these keys."""
        project: int = self.run(CREATE, keys=keys)
        return project

    def change_project(self, project: int, at: str) -> None:
        """All its environments were updated at `at` (ISO 8601), and are to be told."""
        self.run(CHANGE_PROJECT, project=project, at=at)

    def change_environment(self, key: str, at: str) -> None:
        self.run(CHANGE_ENVIRONMENT, key=key, at=at)

    def tasks(self, key: str) -> list[dict[str, Any]]:
        """The tasks of an environment, or of all whose keys hold `key`, oldest
        first."""
        sockets = self.variables["POSTGRES_SOCKETS"]
        done = subprocess.run(
            [
                *("psql", "--host", sockets, "--username", "postgres", "--no-psqlrc"),
                *("--tuples-only", "--no-align", "--variable", f"key={key}"),
            ],
            input=TASKS,
            capture_output=True,
            text=True,
            check=True,
        )
        tasks: list[dict[str, Any]] = json.loads(done.stdout)
        return tasks

    @contextmanager
    def processor(
        self,
        log: Path,
        *,
        threads: int = 5,
        sleep_milliseconds: int = 50,
        tasks_at_once: int = 10,
    ) -> Iterator[None]:
        """A task processor until the end of the block, when it must stop by SIGTERM."""
        sizes = map(str, (threads, sleep_milliseconds, tasks_at_once))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [flagsmith_python(), "processor.py", *sizes],
                cwd=HERE / "api",
                env=self.environment() | {"RUN_BY_PROCESSOR": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(
                lambda: b"started" in log.read_bytes() or process.poll() is not None,
                seconds=START_SECONDS,
                what="the task processor",
            )
            assert process.poll() is None, log.read_text()
            yield
            process.terminate()
            assert process.wait(STOP_SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
