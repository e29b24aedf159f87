"""A local SLURM: munged, slurmctld and one slurmd for each node, as processes of the user who runs the tests."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
HOST = socket.gethostname().partition(".")[0]
NODES = (HOST, f"{HOST}-too")
"""The name of the first node must resolve: the ranks of a training meet there."""

GPUS, CPUS, MEGABYTES = 4, 32, 400_000
"""What each node claims to have; nothing enforces it."""

CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=10
SchedulerParameters=batch_sched_delay=0,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
"""
SECONDS_TO_START = 30.0


def missing() -> str:
    """Return why SLURM cannot be started here; empty if it can."""
    lacking = [name for name in (*DAEMONS, "sbatch") if find_program(name) is None]
    return f"{', '.join(lacking)} missing (Debian: slurm-wlm, munge)" if lacking else ""


def find_program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@dataclass(frozen=True)
class Slurm:
    """A running cluster; `folder` holds all its files."""

    folder: Path

    def call(self, *words: object, environment: Mapping[str, str] | None = None) -> str:
        """Run a command of SLURM and return its output."""
        line = [str(word) for word in words]
        merged = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf"), **(environment or {})}
        done = subprocess.run(line, capture_output=True, text=True, env=merged, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"{' '.join(line)}: {done.stderr}")
        return done.stdout

    def submit(self, script: Path, *words: object, environment: Mapping[str, str]) -> str:
        """Submit a batch file and return the job's number; `words` are options of sbatch, a `--`, and its own."""
        cut = words.index("--") if "--" in words else len(words)
        line = ("sbatch", "--parsable", *words[:cut], script, *words[cut + 1 :])
        return self.call(*line, environment=environment).strip()

    def look(self, job: str) -> dict[str, str]:
        """Return the fields of `scontrol show job`: JobState, Restarts, ExitCode and more."""
        words = self.call("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def log(self, job: str) -> str:
        """Return the output of a job so far, over all its starts."""
        return "".join(path.read_text() for path in self.folder.glob(f"*-{job}.log"))

    def wait(self, job: str, until: Callable[[dict[str, str]], bool], seconds: float) -> dict[str, str]:
        """Wait until the fields of a job meet a condition, and return them."""
        deadline = time.monotonic() + seconds
        while not until(fields := self.look(job)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{fields}\n{self.log(job)}")
            time.sleep(0.2)
        return fields

    def finish(self, job: str, seconds: float = 240) -> dict[str, str]:
        """Wait for the final end of a job, and return its fields."""
        return self.wait(job, lambda fields: fields["JobState"] not in ("PENDING", "RUNNING", "COMPLETING"), seconds)


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Start a cluster of two nodes with its files in a new folder; stop all jobs and processes at the end."""
    _write_configuration(folder)
    slurm = Slurm(folder)
    with ExitStack() as started:
        munged = ("munged", "--foreground", "--force", f"--socket={folder}/munge.socket")
        started.enter_context(_daemon(folder, *munged, *_munge_files(folder)))
        started.enter_context(_daemon(folder, "slurmctld", "-D"))
        for name in NODES:
            started.enter_context(_daemon(folder, "slurmd", "-D", "-N", name))
        _wait_for_nodes(slurm)
        try:
            yield slurm
        finally:
            slurm.call("scancel", "--user", getpass.getuser())
            _wait_for_end_of_jobs(slurm)


def _write_configuration(folder: Path) -> None:
    ports = _free_ports(1 + len(NODES))
    lines = [CONFIGURATION.format(host=HOST, ports=ports, user=getpass.getuser(), folder=folder)]
    for name, port in zip(NODES, ports[1:], strict=True):
        has = f"CPUs={CPUS} RealMemory={MEGABYTES} Gres=gpu:{GPUS}"
        lines.append(f"NodeName={name} NodeHostname={HOST} NodeAddr=127.0.0.1 Port={port} {has} State=UNKNOWN")
        (folder / name).mkdir()
    nodes = ",".join(NODES)
    lines.append(f"PartitionName=normal Nodes={nodes} Default=YES PriorityTier=1")
    lines.append(f"PartitionName=urgent Nodes={nodes} PriorityTier=2")
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
    devices = [folder / f"gpu{number}" for number in range(GPUS)]
    for device in devices:
        device.touch()
    (folder / "gres.conf").write_text("AutoDetect=off\n" + "".join(f"Name=gpu File={device}\n" for device in devices))
    (folder / "state").mkdir()


def _munge_files(folder: Path) -> list[str]:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    names = {"key": key, "pid": folder / "munge.pid", "log": folder / "munge.log", "seed": folder / "munge.seed"}
    return [f"--{name}-file={path}" for name, path in names.items()]


@contextmanager
def _daemon(folder: Path, name: str, *words: str) -> Iterator[None]:
    log = (folder / f"{name}.out").open("a")
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    line = [str(find_program(name)), *words]
    with log, subprocess.Popen(line, stdout=log, stderr=log, env=environment, start_new_session=True) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for_nodes(slurm: Slurm) -> None:
    deadline, states = time.monotonic() + SECONDS_TO_START, ""
    while time.monotonic() < deadline:
        try:
            states = slurm.call("sinfo", "--noheader", "--Node", "--partition=normal", "--format=%T")
        except RuntimeError as problem:
            states = str(problem)
        if states.split() == ["idle"] * len(NODES):
            return
        time.sleep(0.2)
    raise TimeoutError(f"the nodes are not idle: {states}; see {slurm.folder}")


def _wait_for_end_of_jobs(slurm: Slurm) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while slurm.call("squeue", "--noheader").strip() and time.monotonic() < deadline:
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in sockets]
