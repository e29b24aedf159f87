"""`mampctl train` as processes of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

DEADLINE = 60.0


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
    metrics, deadline = run / "metrics.jsonl", time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and len(metrics.read_text().splitlines()) >= lines:
            return
        time.sleep(0.01)
