"""What `gpu_step` measures, each a function of a device and of how large to measure."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from mamp_schemas.models.objectives import MAMPRecipe
from mamp_schemas.models.recipe import Precision
from mamp_trainer.data.batches import TrainBatches
from mamp_trainer.models.precision import autocast, compile_network, matmul_precision
from mamp_trainer.models.transformer import Blocks
from mamp_trainer.training.microbatch import Microbatch, MicrobatchSampler
from mamp_trainer.training.optim import learning_rate, make_optimiser, parameter_groups
from tests.benchmarks.contenders import LR, make_network, our_step, plain_step, random_batch
from tests.trainer.runs import make_trainer, masked_loss, open_source
from tests.trainer.stores import Clip, write_manifest, write_store

NTU60_XSUB_CLIPS, EPOCHS = 40_091, 400
SMOOTH = 20
"""Steps over which loss curves are averaged before they are compared."""


@dataclass(frozen=True)
class Scale:
    """How large to measure.

    Attributes:
        recipe: network and batch size.
        compiled: whether the fast contenders are compiled.
        rounds: steps that are timed.
        clips: of the synthetic store.
        curve_steps: steps of a loss curve.
        matrix: rows and columns of the matrices that the peak is measured with.
    """

    recipe: MAMPRecipe
    compiled: bool
    rounds: int
    clips: int
    curve_steps: int
    matrix: int


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_per_call(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Return the mean seconds of a call among `rounds` that the host does not wait for one by one."""
    for _ in range(3):
        work()
    wait(device)
    start = time.perf_counter()
    for _ in range(rounds):
        work()
    wait(device)
    return (time.perf_counter() - start) / rounds


def time_steps(scale: Scale, device: torch.device) -> dict[str, float | None]:
    """Return the seconds of a step on one batch: the plain one in float32, and ours; None where memory runs out."""
    batch = random_batch(scale.recipe, [1 + at % 2 for at in range(scale.recipe.batch_size)], device)
    found: dict[str, float | None] = {}
    try:
        plain = plain_step(make_network(scale.recipe, device), scale.recipe, batch)
        found["plain float32"] = seconds_per_call(plain, device, scale.rounds)
        del plain
    except torch.OutOfMemoryError:
        found["plain float32"] = None
    contenders: list[tuple[Precision, bool]] = [("float32", False), ("tf32", False), ("bf16", False), ("bf16", True)]
    for precision, compiled in contenders:
        recipe = scale.recipe.replaced(precision=precision)
        model = make_network(recipe, device)
        if compiled and scale.compiled:
            compile_network(model, device)
        with matmul_precision(precision):
            seconds = seconds_per_call(our_step(model, recipe, batch), device, scale.rounds)
        found[f"{precision}{', compiled' if compiled else ''}"] = seconds
    return found


def decoder_share(scale: Scale, device: torch.device) -> dict[str, float]:
    """Return the FLOP/s of the decoder's blocks, forward and backward in bf16, and of large bf16 products."""
    spec, sequences = scale.recipe.model, 2 * scale.recipe.batch_size
    shape = (sequences, spec.tokens, spec.decoder_width)
    blocks = Blocks(spec.decoder_depth, spec.decoder_width, spec.decoder_heads, spec.mlp_ratio).to(device)
    if scale.compiled:
        compile_network(blocks, device)
    x, gradient = torch.randn(shape, device=device, requires_grad=True), torch.randn(shape, device=device)

    def work() -> None:
        with autocast("bf16", device):
            made = blocks(x)
        made.backward(gradient)

    one, two = (torch.randn(scale.matrix, scale.matrix, device=device).bfloat16() for _ in range(2))
    peak = 2 * scale.matrix**3 / seconds_per_call(lambda: one @ two, device, scale.rounds)
    rate = blocks_flops(spec.decoder_depth, shape, spec.mlp_ratio) / seconds_per_call(work, device, scale.rounds)
    return {"decoder_flops_per_s": rate, "peak_flops_per_s": peak, "share": rate / peak}


def blocks_flops(depth: int, shape: tuple[int, int, int], mlp_ratio: int) -> int:
    """Return what a forward and a backward pass take: 12 D² and 2 L D multiply-adds a token forward, twice backward."""
    sequences, tokens, width = shape
    forward = 2 * sequences * tokens * width * ((4 + 2 * mlp_ratio) * width + 2 * tokens)
    return 3 * depth * forward


@contextmanager
def synthetic_batches(recipe: MAMPRecipe, clips: int, device: torch.device) -> Iterator[TrainBatches]:
    """Yield batches of clips that swing: joint by joint, each with an amplitude, a frequency and a phase of its own."""
    generator = np.random.default_rng(0)
    made = [_swinging(generator, f"clip{at:06d}") for at in range(clips)]
    with TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "s.zarr", made, shard_rows=16_384)
        write_manifest(store, [clip.id for clip in made], [])
        source = open_source(store, recipe, device)
        yield source.train_batches(source.load("train"))


def _swinging(generator: np.random.Generator, name: str) -> Clip:
    bodies, frames = 1 + int(generator.random() < 0.2), int(generator.integers(40, 127))
    amplitude, phase = generator.normal(0, 0.2, (2, bodies, 1, 25, 3))
    frequency = generator.uniform(0.02, 0.4, (bodies, 1, 25, 1))
    at = np.arange(frames)[None, :, None, None]
    return Clip(
        name, (generator.normal(0, 0.5, (1, 1, 25, 3)) + amplitude * np.sin(frequency * at + phase)).astype("f4")
    )


def data_wait(scale: Scale, device: torch.device) -> dict[str, float]:
    """Return the seconds of a step with its batch made for it, on one batch, and the share that is the batch's."""
    recipe = scale.recipe.replaced(precision="bf16")
    with synthetic_batches(recipe, scale.clips, device) as batches, matmul_precision("bf16"):
        model = make_network(recipe, device)
        if scale.compiled:
            compile_network(model, device)
        optimiser, steps = (
            make_optimiser(parameter_groups(model, recipe.optimiser.weight_decay), recipe.optimiser),
            _counter(batches.steps),
        )
        step = make_trainer(masked_loss(model, recipe), optimiser, device=device).train_step
        shares, fixed = MicrobatchSampler(batches), [Microbatch(batches.batch(0, 0), 1.0)]
        with_data = seconds_per_call(lambda: step(shares.microbatches(*next(steps)), 0, 0, LR), device, scale.rounds)
        without = seconds_per_call(lambda: step(fixed, 0, 0, LR), device, scale.rounds)
    return {"step": with_data, "step_without_data": without, "share": max(1 - without / with_data, 0.0)}


def _counter(steps: int) -> Iterator[tuple[int, int]]:
    at = 0
    while True:
        yield divmod(at, steps)
        at += 1


def loss_curve(scale: Scale, device: torch.device, precision: Precision, seed: int) -> list[float]:
    """Return the losses of training steps."""
    recipe = scale.recipe.replaced(precision=precision, seed=seed)
    with synthetic_batches(recipe, scale.clips, device) as batches, matmul_precision(precision):
        model = make_network(recipe, device, seed)
        shares = MicrobatchSampler(batches)
        optimiser = make_optimiser(parameter_groups(model, recipe.optimiser.weight_decay), recipe.optimiser)
        trainer = make_trainer(masked_loss(model, recipe), optimiser, device=device, microbatches=shares)
        for at, (epoch, place) in zip(range(scale.curve_steps), _counter(batches.steps), strict=False):
            trainer.train_step(
                shares.microbatches(epoch, place), epoch, place, learning_rate(at, batches.steps, recipe.schedule)
            )
        return trainer.flush_metrics().losses


def compare_curves(scale: Scale, device: torch.device) -> dict[str, object]:
    """Return how far bf16 is from float32 with the same seed, and how far two seeds of float32 are from each other."""
    curves = {
        "float32, seed 0": loss_curve(scale, device, "float32", 0),
        "float32, seed 1": loss_curve(scale, device, "float32", 1),
        "bf16, seed 0": loss_curve(scale, device, "bf16", 0),
    }
    smooth = [np.convolve(curve, np.full(SMOOTH, 1 / SMOOTH), mode="valid") for curve in curves.values()]
    between_seeds, of_bf16 = (float(np.abs(smooth[0] - other).max()) for other in smooth[1:])
    return {"between_seeds": between_seeds, "of_bf16": of_bf16, "curves": curves}
