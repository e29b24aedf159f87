"""A project of Compose: a copy of `docker/` with its own settings, run by Docker's compose or podman-compose."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from tests.images.engine import Outcome, engine

DOCKER = Path(__file__).parents[2] / "docker"
DEADLINE = 240.0
_JOB = ("run", "--rm", "-T", "--env", "OMP_NUM_THREADS=1")
"""One thread: tests share the machine, and torch's threads wait for each other."""


@cache
def find_compose() -> tuple[str, ...]:
    """Return the command that runs Compose files with the tool that has the images; empty if there is none."""
    try:
        tool = engine()
    except RuntimeError:
        return ()
    if tool == "docker" and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ("docker", "compose")
    if tool == "podman" and importlib.util.find_spec("podman_compose"):
        return (sys.executable, "-m", "podman_compose")
    return ()


@dataclass(frozen=True)
class Job:
    """A running job; its output goes to files, so that tests can read it meanwhile."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    def wait_for(self, event: str, task: str) -> None:
        """Wait until the job has logged an event of a task.

        Raises:
            TimeoutError: It ended without it, or took too long.
        """
        deadline = time.monotonic() + DEADLINE
        while not self.has_event(event, task):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"no {event} of {task}: {self.err.read_text()}")
            time.sleep(0.02)

    def has_event(self, event: str, task: str) -> bool:
        """Return whether its log has an event of a task."""
        lines = [line for line in self.err.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return any((entry["event"], entry.get("task")) == (event, task) for entry in map(json.loads, lines))

    def end(self) -> Outcome:
        """Wait for its end."""
        code = self.process.wait(DEADLINE)
        return Outcome(code, self.out.read_text(), self.err.read_text())


@dataclass(frozen=True)
class Project:
    """A project: its name, and the folder of its files."""

    name: str
    folder: Path
    overrides: Sequence[Path] = ()

    @classmethod
    def make(cls, name: str, folder: Path, settings: Mapping[str, str], *overrides: Path) -> "Project":
        """Copy the files and set values in the settings file, as a user does."""
        shutil.copytree(DOCKER, folder, symlinks=True)
        path = folder / "settings.env"
        text = path.read_text()
        for key, value in settings.items():
            text, replacements = re.subn(rf"^{key}=.*$", f"{key}={value}", text, flags=re.MULTILINE)
            assert replacements == 1, key
        path.write_text(text)
        return cls(name, folder, overrides)

    def call(self, *words: str) -> Outcome:
        """Run a command of Compose to its end."""
        done = subprocess.run(self._command(words), cwd=self.folder, capture_output=True, text=True, timeout=DEADLINE)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def run(self, service: str, *arguments: str) -> Outcome:
        """Run a job to its end."""
        return self.call(*_JOB, service, *arguments)

    def start(self, service: str, *arguments: str) -> Job:
        """Start a job."""
        out, err = (self.folder / f"{service}.{name}" for name in ("out", "err"))
        with out.open("wb") as to_out, err.open("wb") as to_err:
            return Job(self._popen((*_JOB, service, *arguments), to_out, to_err), out, err)

    def containers(self, service: str | None = None) -> list[str]:
        """Return the ids of the containers of a service, or of all."""
        labels = [f"project={self.name}", *([f"service={service}"] if service else [])]
        filters = [word for label in labels for word in ("--filter", f"label=com.docker.compose.{label}")]
        return call_engine("ps", "--all", "--quiet", *filters).out.split()

    def logs(self) -> str:
        """Return the logs of all existing containers."""
        outcomes = [call_engine("logs", container) for container in self.containers()]
        return "".join(outcome.out + outcome.err for outcome in outcomes)

    def wait_healthy(self, service: str, number: int = 1) -> None:
        """Wait until a number of containers of a service are healthy.

        Raises:
            TimeoutError: They were not in time.
        """
        deadline = time.monotonic() + DEADLINE
        while sum(map(_healthy, self.containers(service))) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{service} is not healthy: {self.logs()}")
            time.sleep(0.2)

    def _command(self, words: Sequence[str]) -> list[str]:
        files = [word for path in (self.folder / "compose.yaml", *self.overrides) for word in ("-f", str(path))]
        profiles = ("--profile", "jobs", "--profile", "bucket")
        return [*find_compose(), "-p", self.name, *files, *profiles, *words]

    def _popen(self, words: Sequence[str], out: IO[bytes], err: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command(words), cwd=self.folder, stdout=out, stderr=err)


def call_engine(*words: str) -> Outcome:
    """Run a command of the tool that runs the containers."""
    done = subprocess.run([engine(), *words], capture_output=True, text=True, timeout=DEADLINE)
    return Outcome(done.returncode, done.stdout, done.stderr)


def _healthy(container: str) -> bool:
    """Run a container's health check and return whether it passes: without systemd podman runs none by itself."""
    if engine() == "podman":
        return call_engine("healthcheck", "run", container).code == 0
    return call_engine("inspect", "--format", "{{.State.Health.Status}}", container).out.strip() == "healthy"
