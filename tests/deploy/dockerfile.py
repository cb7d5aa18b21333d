"""docker/Dockerfile, read as far as we write it, and done without a container engine:
its steps in a folder that stands for the image's root."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fresh import INSTALL_SECONDS, fresh_variables
from tests.support.service import ROOT

FILE = ROOT / "docker" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    name: str
    arguments: str


def instructions() -> list[Instruction]:
    """All of them in order; continued lines are joined, comments left out."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line
    ]


def variables(arguments: str) -> dict[str, str]:
    """The names and values of an ENV, ARG or LABEL."""
    pairs = (word.partition("=") for word in shlex.split(arguments))
    return {name: value for name, _, value in pairs}


@dataclass
class Image:
    """What the steps have made so far. `folder` stands for `/`, and only the paths that
    the steps name are in it."""

    folder: Path
    context: Path
    """A clean copy of the repository."""
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    commands: dict[str, list[str]] = field(default_factory=dict)
    """ENTRYPOINT, CMD and the one of HEALTHCHECK."""

    def path(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def here(self, text: str) -> str:
        """`text` with the image's paths as paths of this machine."""
        return re.sub(r"(?<![\w/.])/(?=opt\b|app\b)", f"{self.folder}/", text)

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of the image's processes, where `python` is this Python."""
        ours = {name: self.here(value) for name, value in self.environment.items()}
        return fresh_variables(**{**ours, **more})

    def build(self) -> None:
        """Do every step, in order. A second stage gets only what it copies: both use
        the same paths, so the copies between them have nothing to do."""
        for step in instructions():
            self._do(step)

    def _do(self, step: Instruction) -> None:
        match step.name:
            case "FROM":
                self.environment = {"PATH": self._python_path()}
                self.workdir = "/"
            case "ENV":
                for name, value in variables(step.arguments).items():
                    given = value.replace("$PATH", self.environment["PATH"])
                    self.environment[name] = given
            case "RUN":
                done = subprocess.run(
                    ["sh", "-ec", self.here(step.arguments)],
                    cwd=self.path(self.workdir),
                    env=self.variables(),
                    timeout=INSTALL_SECONDS,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
            case "COPY" if step.arguments.startswith("--from="):
                _, source, target = step.arguments.split()
                assert source == target
                assert self.path(source).exists()
            case "COPY":
                *sources, target = step.arguments.split()
                for source in sources:
                    self._copy(source, target)
            case "WORKDIR":
                self.workdir = step.arguments
            case "USER":
                self.user = step.arguments
            case "ENTRYPOINT" | "CMD":
                self.commands[step.name] = json.loads(step.arguments)
            case "HEALTHCHECK":
                command = step.arguments.partition("CMD ")[2]
                self.commands[step.name] = json.loads(command)
            case "EXPOSE" | "STOPSIGNAL" | "ARG" | "LABEL":
                pass
            case _:
                raise AssertionError(f"{step.name} is not understood here")

    def _python_path(self) -> str:
        """A PATH on which `python` is the one this virtual environment came from."""
        folder = self.folder / "python"
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / "python"
        if not link.exists():
            link.symlink_to(Path(sys.base_prefix) / "bin" / "python3")
        return f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"

    def _copy(self, source: str, target: str) -> None:
        allowed = in_context(source)
        assert allowed, f".dockerignore keeps {source} out of the build"
        into = self.path(target)
        if target.endswith("/"):
            into = into / Path(source).name
        into.parent.mkdir(parents=True, exist_ok=True)
        if (self.context / source).is_dir():
            shutil.copytree(self.context / source, into)
        else:
            shutil.copy2(self.context / source, into)


def in_context(path: str) -> bool:
    """Whether .dockerignore lets `path` or anything in it into the build: the last line
    that matches decides."""
    included = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#"):
            parents = [path, *(str(p) for p in Path(path).parents)]
            if any(fnmatch.fnmatch(p, pattern) for p in parents if p != "."):
                included = line.startswith("!")
    return included
