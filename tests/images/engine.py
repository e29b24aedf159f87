"""Inspect images and run commands in them, with docker, podman or buildah: whichever built them."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

STRANGER = "12345:0"
"""A user that no image knows."""


@dataclass(frozen=True)
class Outcome:
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str


@cache
def engine() -> str:
    """Return the tool that docker/build uses."""
    for name in ("docker", "podman", "buildah"):
        if shutil.which(name) and _call(name, "info").code == 0:
            return name
    raise RuntimeError("no docker, podman or buildah works here")


def inspect(image: str) -> dict[str, Any]:
    """Return an image's configuration: user, entry point, environment, labels."""
    looking = ("inspect", "--type", "image") if engine() == "buildah" else ("image", "inspect")
    outcome = _call(engine(), *looking, image)
    assert outcome.code == 0, outcome.err
    details = json.loads(outcome.out)
    config: dict[str, Any] = details["OCIv1"]["config"] if engine() == "buildah" else details[0]["Config"]
    return config


def run(image: str, *command: str, data: Path | None = None, user: str = STRANGER) -> Outcome:
    """Run a command in an image, with a folder of this machine as /data and a read-only root if the tool can."""
    volumes = ("--volume", f"{data}:/data") if data else ()
    if engine() != "buildah":
        options = ("--rm", "--read-only", "--tmpfs", "/tmp", "--user", user, *volumes, "--entrypoint", command[0])
        return _call(engine(), "run", *options, image, *command[1:])
    container = _call("buildah", "from", "--pull-never", image).out.strip()
    try:
        return _call("buildah", "run", "--user", user, *volumes, container, "--", *command)
    finally:
        _call("buildah", "rm", container)


def megabytes(image: str) -> float:
    """Return the size of all files of an image in megabytes, as the tools list it.

    Apt's downloads do not count: the official base has none, a base made by debootstrap has some.
    """
    counting = ("--summarize", "--one-file-system", "--apparent-size", "--block-size=1000")
    apt = ("--exclude=/var/cache/apt/*", "--exclude=/var/lib/apt/lists/*")
    outcome = run(image, "du", *counting, *apt, "/", user="0:0")
    return int(outcome.out.split()[0]) / 1000


def _call(*command: str) -> Outcome:
    done = subprocess.run(_words(command), capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def _words(command: Sequence[str]) -> list[str]:
    return [str(word) for word in command]
