"""A command watched from outside: when its work began, how long it took, the peak memory of each of its processes."""

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Run:
    """One run of `mampctl ingest`.

    Attributes:
        startup: seconds until its first task starts: interpreter, listing and planning, worker processes.
        seconds: of the work after that.
        peaks: peak resident megabytes of each process, the command's own first.
        result: the metadata it printed.
    """

    startup: float
    seconds: float
    peaks: tuple[float, ...]
    result: dict[str, object]


def run_ingest(raw: Path, out: Path, *options: object) -> Run:
    """Run `mampctl ingest ntu120 --workers 2` and watch it."""
    arguments = ["ingest", "ntu120", "--raw", raw, "--out", out, "--workers", 2, "--json", *options]
    command = [sys.executable, "-m", "mampctl", *map(str, arguments)]
    began, started = 0.0, time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peaks: dict[int, float] = {process.pid: 0.0}
        watcher = threading.Thread(target=_watch, args=(process, peaks))
        watcher.start()
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if not began and json.loads(line)["event"] == "start":
                began = time.perf_counter()
        output = process.stdout.read()
        assert process.wait() == 0
        ended = time.perf_counter()
        watcher.join()
    return Run(began - started, ended - began, tuple(peaks.values()), json.loads(output))


def _watch(process: subprocess.Popen[str], peaks: dict[int, float]) -> None:
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            main_process = psutil.Process(process.pid)
            for one in (main_process, *main_process.children(recursive=True)):
                peaks[one.pid] = max(peaks.get(one.pid, 0.0), _peak(one.pid))
        time.sleep(0.05)


def _peak(process: int) -> float:
    """Return a process's peak resident memory so far, MB, as the kernel keeps it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1e3
    return 0.0
