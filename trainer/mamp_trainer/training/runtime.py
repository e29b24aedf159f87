"""What a run is trained with: the device, the threads, free memory and the initial seed."""

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mamp_schemas.errors import TrainingError, UsageError
from mamp_schemas.models.recipe import WEIGHT_BYTES, ModelSpec, RecomputeMode
from mamp_schemas.progress import NullProgress, Progress
from mamp_schemas.system import (
    THREADS,
    ThreadChoice,
    choose_threads,
    count_cores,
    free_host_memory,
    total_memory,
)
from mamp_trainer.data.residency import MemoryBudget
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ComputeContext:
    """On what a command computes; none of its numbers depends on it.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        progress: shows progress and messages.
        dist_context: the ranks that compute together; this process is one of them.
        run_id: the command's name in the user's logs, that of a batch system, say.
    """

    device: str = "auto"
    progress: Progress = field(default_factory=NullProgress)
    dist_context: DistContext = SINGLE_PROCESS
    run_id: str | None = None

    def torch_device(self) -> torch.device:
        """Return the device that this process computes on, and have torch use the free cores.

        Raises:
            UsageError: an unknown name, or one GPU named for several ranks.
            TrainingError: a GPU that is not there.
        """
        return choose_device(self.device, self.dist_context.device_index)

    def for_run(self, run_dir: Path, resume: bool = False, profile_steps: int = 0) -> "RunContext":
        """Return the context of a run that is trained here."""
        return RunContext(
            run_dir,
            resume,
            profile_steps,
            device=self.device,
            progress=self.progress,
            dist_context=self.dist_context,
            run_id=self.run_id,
        )


@dataclass(frozen=True)
class RunContext(ComputeContext):
    """Where and how a run is trained; none of its numbers depends on it.

    Attributes:
        run_dir: the run's folder, made by the run: recipe.yaml, metrics.jsonl, tensorboard/, checkpoints/, and at the
            end run.json and, of evaluations, scores.npz (the last epoch's predictions for the test clips).
        resume: whether to continue from the run's latest checkpoint.
        profile_steps: steps to be profiled, into the run's folder.
    """

    run_dir: Path
    resume: bool = False
    profile_steps: int = 0


def set_torch_threads(choice: ThreadChoice) -> None:
    """Have torch compute by as many threads as were chosen.

    It has no more than it would take itself, or than a caller of Python gave it, unless `--threads` says so.
    """
    if choice.threads < torch.get_num_threads() or choice.variable == THREADS:
        torch.set_num_threads(choice.threads)


def resume_torch_threads(threads: int) -> None:
    """Compute by the number of threads that a run had before, unless the user says another one: so its bits stay.

    Args:
        threads: 0 where it is not known.
    """
    choice = choose_threads()
    if choice.variable is not None or threads in (0, torch.get_num_threads()):
        return
    if threads <= count_cores():
        torch.set_num_threads(threads)
        kept = f"as before, so that the last bits of all numbers stay; chosen anew it would be {choice.threads}"
        logger.info(f"{threads} threads, {kept} ({choice.reason}): --threads {choice.threads}")
    else:
        logger.warning(
            f"the run had {threads} threads before, and there are {count_cores()} cores: with "
            f"{torch.get_num_threads()} the last bits of its numbers differ"
        )


def choose_device(name: str, local_rank: int | None = None) -> torch.device:
    """Return the device to train on, and have torch compute by as many threads as there are free cores.

    Args:
        name: `auto` (a GPU where there is one, else the CPU), `cpu`, `cuda` or `cuda:1`.
        local_rank: the number of this rank on its host; None in a single process.

    Raises:
        UsageError: an unknown name, or one GPU named for several ranks.
        TrainingError: the GPU does not exist here; on another machine the same command may work.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if local_rank is not None and kind == "cuda":
        if index:
            raise UsageError(f"device '{name}' is one GPU, and there are several ranks", remedy="Choose --device cuda.")
        # Batch systems may give each rank one GPU, the only one that the rank then sees.
        name, index = f"cuda:{local_rank}", str(local_rank)
        if torch.cuda.device_count() == 1:
            name, index = "cuda:0", "0"
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise UsageError(f"there is no device '{name}'", remedy="Choose auto, cpu, cuda or cuda:0.")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise TrainingError(
            f"device '{name}' is not there: torch {torch.__version__} sees {torch.cuda.device_count()} GPUs",
            remedy="Choose --device cpu, or install a torch built for this machine's GPU.",
        )
    set_torch_threads(choose_threads())
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return a device's name for the run record."""
    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return f"cpu: {platform.machine()}, {threads} {'thread' if threads == 1 else 'threads'}"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator, for initial weights on the CPU; restore its state afterwards."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield


CLIP_MEMORY_SHARE = 0.5
"""Share of free memory that clips may take; the rest is for the model and other processes."""


def measure_budget(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> MemoryBudget:
    """Return the memory budget of the clips: half of the free memory, the minimum over ranks, so the same on all.

    Args:
        device: the one that trains.
        dist_context: the run's ranks; ranks on one host share its memory.
    """
    free, host = (
        int(CLIP_MEMORY_SHARE * free_memory(memory, dist_context)) for memory in (device, torch.device("cpu"))
    )
    return MemoryBudget(device=-dist_context.all_reduce_max(-free), host=-dist_context.all_reduce_max(-host))


def free_memory(device: torch.device, dist_context: DistContext = SINGLE_PROCESS) -> int:
    """Return the bytes that are free for one rank on its device."""
    return (
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else free_host_memory() // dist_context.local_world_size
    )


def require_network_memory(spec: ModelSpec, device: torch.device, *, trained: bool = True) -> None:
    """Check, before a network is built, that the machine's memory could hold it.

    Args:
        spec: the network's shape.
        device: where it will be; it is built in the host's memory.
        trained: whether gradients and two moments come to the weights.

    Raises:
        TrainingError: it could not, whatever else is in memory.
    """
    need = spec.state_bytes if trained else WEIGHT_BYTES * spec.parameters
    memories = {"this machine": total_memory()}
    if device.type == "cuda":
        memories[str(device)] = torch.cuda.mem_get_info(device)[1]
    for name, size in memories.items():
        if need > size:
            with_what = " with gradients and moments" if trained else ""
            raise TrainingError(
                f"the network of about {spec.parameters:,} parameters takes {need / 1e9:,.1f} GB{with_what}, "
                f"{name} has {size / 1e9:,.1f} GB",
                remedy="Lower model.width, model.depth, model.frames or those of the decoder.",
            )


CPU_ACTIVATION_BYTES = 1_200_000_000
"""What a microbatch keeps for the backward pass on a CPU, at most: 8 clips of the published network. Larger ones
are slower there (docs/performance.md), and take so long that nobody sees them move."""


def choose_micro_batch(micro_batch: int | None, device: torch.device, clip_bytes: int) -> int | None:
    """Return how many clips a device takes at once; None for no limit.

    It depends on the recipe and the kind of device alone, as the last bits of a run's numbers do.

    Args:
        micro_batch: what the recipe says.
        device: the one that trains.
        clip_bytes: what a clip's forward pass keeps for the backward pass; 0 where that is not known.
    """
    if micro_batch is not None or device.type != "cpu" or not clip_bytes:
        return micro_batch
    return max(CPU_ACTIVATION_BYTES // clip_bytes, 1)


ACTIVATION_MEMORY_SHARE = 0.8
"""Share of free memory that activations may take; the rest is for gradients, moments and temporary tensors."""


def choose_activation_checkpointing(mode: RecomputeMode, need_bytes: int, free_bytes: int) -> tuple[bool, str]:
    """Choose whether the backward pass computes blocks again.

    Args:
        mode: what the recipe says.
        need_bytes: what a forward pass keeps for the backward pass; 0 where that is not known.
        free_bytes: bytes that are free on the device.

    Returns:
        The choice, and its reason.
    """
    sizes = f"{need_bytes / 1e9:.2f} GB needed, {free_bytes / 1e9:.2f} GB free"
    if mode != "auto":
        return mode == "always", f"recompute is {mode}; {sizes}"
    short = need_bytes > ACTIVATION_MEMORY_SHARE * free_bytes
    return short, f"{'computed again in the backward pass' if short else 'kept'}; {sizes}"
