"""The pre-training step as it is and the plain one, over the same weights, clips and draws."""

from collections.abc import Callable, Sequence
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mamp_schemas.models.objectives import MAMPRecipe
from mamp_trainer.data.collate import Batch, find_unique_bodies
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.training.microbatch import Microbatch
from mamp_trainer.training.optim import make_optimiser, parameter_groups
from tests.benchmarks.plain_step import PlainStep
from tests.trainer.runs import make_trainer, masked_loss

LR = 1e-4


def random_batch(recipe: MAMPRecipe, bodies: Sequence[int], device: torch.device) -> Batch:
    """Return random walks as clips of one or two bodies; empty slots hold zeros."""
    spec, generator = recipe.model, torch.Generator().manual_seed(0)
    x = torch.randn(len(bodies), 2, spec.frames, spec.joints, 3, generator=generator).cumsum(2) * 0.02
    real = torch.arange(2) < torch.tensor(bodies)[:, None]
    x = x * real[:, :, None, None, None]
    clip = torch.arange(len(bodies))
    whole = Batch(x, None, torch.zeros_like(clip), clip, real, find_unique_bodies(real, empty_slots_are_copies=False))
    return on(whole, device)


def on(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device."""
    slots = type(batch.unique_bodies)(*(index.to(device) for index in batch.unique_bodies))
    return Batch(
        batch.x.to(device), None, *(column.to(device) for column in (batch.label, batch.clip, batch.real)), slots
    )


def make_network(recipe: MAMPRecipe, device: torch.device, seed: int = 0) -> MAMP:
    torch.manual_seed(seed)
    return MAMP(recipe.model, recipe.masking).to(device)


def our_step(model: MAMP, recipe: MAMPRecipe, batch: Batch) -> Callable[[], None]:
    trainer = make_trainer(
        masked_loss(model, recipe),
        make_optimiser(parameter_groups(model, recipe.optimiser.weight_decay), recipe.optimiser),
        device=batch.x.device,
    )
    return lambda: trainer.train_step([Microbatch(batch, 1.0)], 0, 0, LR)


def plain_step(model: MAMP, recipe: MAMPRecipe, batch: Batch) -> Callable[[], object]:
    step = PlainStep(model, recipe, LR)
    return lambda: step(batch, 0)


def step_flops(recipe: MAMPRecipe, sequences: int) -> int:
    """Count the operations of matrix products, forward and backward, in the plain step: 2 for each multiply-add."""
    meta = torch.device("meta")
    batch = random_batch(recipe, [2], meta)
    plain = PlainStep(make_network(recipe, meta), recipe, LR)
    with FlopCounterMode(display=False) as counter:
        plain.loss(batch, 0).backward()
    return counter.get_total_flops() * sequences // 2


def cpu_peak(size: int = 2048, rounds: int = 8) -> dict[str, float]:
    """Return the FLOP/s of large float32 products, through MKL and through oneDNN."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    points = a.view(1, size, 1, size).permute(0, 3, 1, 2)
    kernel = b[:, :, None, None]
    products: dict[str, Callable[[], Tensor]] = {"MKL": lambda: a @ b, "oneDNN": lambda: F.conv2d(points, kernel)}
    return {name: 2 * size**3 / min(take_turns({name: work}, rounds)[name]) for name, work in products.items()}


def take_turns(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contender's rounds but the first; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, work in contenders.items():
            start = perf_counter()
            work()
            seconds[name].append(perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}
