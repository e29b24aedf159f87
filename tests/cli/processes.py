"""`mampctl train` as processes of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.waiting import wait_until


def start(
    *arguments: str, before: tuple[str, ...] = ("-m", "mampctl"), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `python BEFORE ARGUMENTS` with one thread a process, and more in its environment."""
    return subprocess.Popen(
        [sys.executable, *before, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | dict(environment or {}),
    )


def wait_for_metrics(run: Path, process: subprocess.Popen[str], lines: int) -> None:
    """Return once a run has written some lines of metrics, or has ended."""
    metrics = run / "metrics.jsonl"

    def written() -> bool:
        return metrics.exists() and len(metrics.read_text().splitlines()) >= lines

    wait_until(lambda: process.poll() is not None or written(), f"{lines} lines of {metrics}")
