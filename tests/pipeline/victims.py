"""`mampctl ingest` as a process of its own, in small parts and shards, to be killed at chosen moments."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.waiting import assert_gone, finish, wait_until

PART_BYTES, SHARD_ROWS = 300_000, 256
SMALL = f"""
import sys
from mamp_pipeline.ingest import plan, run
from mamp_pipeline.store import shards, writer
plan.PART_BYTES = {PART_BYTES}
for module in (shards, writer):
    module.CHUNK_ROWS = 64
for module in (shards, writer, run):
    module.SHARD_ROWS = {SHARD_ROWS}
from mampctl.runtime.main import main
main()
"""


class Victim:
    """A running `mampctl ingest`."""

    def __init__(self, raw: Path, out: Path, *options: object) -> None:
        self.out = out
        self.staging = out.with_name(f"{out.name}.staging")
        arguments = ["ingest", "ntu60", "--raw", raw, "--out", out, "--json", *options]
        self.log = out.with_suffix(".log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SMALL, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def wait_for(self, pattern: str, count: int) -> None:
        """Return once so many entries of the staging folder fit a pattern, or the process has ended."""
        self.wait_until(lambda: len(list(self.staging.glob(pattern))) >= count)

    def wait_for_word(self, word: str) -> None:
        """Return once it has written a word to standard error, or has ended."""
        self.wait_until(lambda: word in self.stderr())

    def wait_for_workers(self, count: int) -> None:
        """Return once so many worker processes run, or the process has ended."""
        self.wait_until(lambda: len(self.workers()) >= count)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once a condition holds, or the process has ended."""
        wait_until(lambda: condition() or self.process.poll() is not None, self.stderr)

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes; none where it has ended or has not started them."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
            return [child for child in children if "spawn_main" in _command(child)]
        return []

    def finish(self) -> dict[str, object]:
        """Wait for its success; return the metadata it printed."""
        out, _ = finish(self.process)
        assert self.process.returncode == 0, self.stderr()
        return dict(json.loads(out))

    def end(self, number: int) -> int:
        """Send a signal to the process alone; return its exit code, once its workers are gone as well."""
        workers = self.workers()
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)
        finish(self.process)
        assert_gone(workers)
        return self.process.returncode

    def interrupt_all(self) -> int:
        """Interrupt the process and its workers at once, as a terminal does; return its exit code."""
        workers = self.workers()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        finish(self.process)
        assert_gone(workers)
        return self.process.returncode

    def stderr(self) -> str:
        """Return what it wrote to standard error so far."""
        self.log.flush()
        return Path(self.log.name).read_text()

    def close(self) -> None:
        """End what may still run."""
        for process in self.workers():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        self.process.communicate()
        self.log.close()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
