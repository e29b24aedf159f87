"""Tiny runs: recipes that train in a blink, a store whose classes can be told apart, and watchers of progress."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mamp_schemas.io.run_files import UNTRAINED, latest_checkpoint
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.objectives import MAMPRecipe
from mamp_schemas.models.protocols import FinetuneRecipe, LinearRecipe, PretrainingData, SemiRecipe, TransferRecipe
from mamp_schemas.models.recipe import (
    SGD,
    AdamW,
    EvaluationRecipe,
    ModelSpec,
    PretrainRecipe,
    Recipe,
    SamplingSpec,
    ScheduleSpec,
)
from mamp_schemas.models.results import EvaluationResult
from mamp_schemas.models.splits import Subset
from mamp_trainer.checkpoints.files import Checkpoint, RunIdentity, read_checkpoint
from mamp_trainer.data.collate import Batch, find_unique_bodies
from mamp_trainer.data.dataset import RunData
from mamp_trainer.data.residency import MemoryBudget
from mamp_trainer.objectives.pretrain import loss_function, make_objective
from mamp_trainer.protocols.classification import train_classifier
from mamp_trainer.training.hooks import Loss
from mamp_trainer.training.runtime import RunContext
from mamp_trainer.training.trainer import Trainer
from tests.trainer.stores import Clip, write_manifest, write_store

CPU = torch.device("cpu")
CLASSES = 3
CLOCK = {"clips_per_s", "seconds", "step_s", "data_s", "memory_gb", "tflops", "peak_share"}
"""What lines of metrics tell of the clock and the machine."""
MODEL = ModelSpec(frames=16, segment=4, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)
SAMPLING = SamplingSpec(min_frames=8)


def pretrain_recipe(**changes: Any) -> MAMPRecipe:
    recipe = MAMPRecipe(
        kind="pretrain",
        name="tiny",
        summary="for tests",
        dataset="ntu60",
        protocol="xsub",
        model=MODEL,
        sampling=SAMPLING,
        optimiser=AdamW(kind="adamw"),
        schedule=ScheduleSpec(epochs=3, warmup_epochs=1, lr=0.01, final_lr=0.001),
        batch_size=2,
        checkpoint_every=2,
    )
    return recipe.replaced(**changes)


def linear_recipe(**changes: Any) -> LinearRecipe:
    recipe = LinearRecipe(
        kind="linear",
        name="tiny",
        summary="for tests",
        dataset="ntu60",
        protocol="xsub",
        model=MODEL,
        sampling=SAMPLING,
        optimiser=SGD(kind="sgd"),
        schedule=ScheduleSpec(epochs=3, lr=0.1),
        batch_size=4,
        checkpoint_every=2,
    )
    return recipe.replaced(**changes)


def finetune_recipe(**changes: Any) -> FinetuneRecipe:
    return FinetuneRecipe(kind="finetune", **_finetune_fields()).replaced(**changes)


def semi_recipe(subset: Subset, **changes: Any) -> SemiRecipe:
    return SemiRecipe(kind="semi", subset=subset, **_finetune_fields()).replaced(**changes)


def transfer_recipe(pretrained_on: PretrainingData, **changes: Any) -> TransferRecipe:
    return TransferRecipe(kind="transfer", pretrained_on=pretrained_on, **_finetune_fields()).replaced(**changes)


def _finetune_fields() -> dict[str, Any]:
    return {
        "name": "tiny",
        "summary": "for tests",
        "dataset": "ntu60",
        "protocol": "xsub",
        "model": MODEL.replaced(depth=2),
        "sampling": SAMPLING,
        "optimiser": AdamW(kind="adamw", betas=(0.9, 0.999)),
        "schedule": ScheduleSpec(epochs=3, warmup_epochs=1, lr=0.01, final_lr=0.001),
        "batch_size": 4,
        "head_width": 8,
        "checkpoint_every": 2,
    }


def evaluate_encoder(
    recipe: EvaluationRecipe, store: StoragePath, run_dir: Path, encoder_from: Path | None = None, **context: Any
) -> EvaluationResult:
    """Evaluate an encoder by a recipe's protocol; `context` are fields of `RunContext`."""
    return train_classifier(recipe, store, encoder_from, RunContext(run_dir, **context))


def write_toy_store(folder: Path, train: int = 26, test: int = 7, classes: int = CLASSES) -> Path:
    """Write a store and its manifest; each class raises another five joints by a metre."""
    clips = [_clip(number, number % classes) for number in range(train + test)]
    store = write_store(folder / "toy.zarr", clips)
    ids = [clip.id for clip in clips]
    write_manifest(store, ids[:train], ids[train:])
    return store


def _clip(number: int, label: int) -> Clip:
    generator = np.random.default_rng(number)
    pose = np.random.default_rng(99).normal(size=(25, 3))
    joints = pose + generator.normal(scale=0.02, size=(1 + number % 2, 10 + number % 7, 25, 3))
    joints[:, :, 5 * label : 5 * label + 5, 1] += 1
    return Clip(id=f"clip{number:03d}", joints=joints.astype(np.float32), label=label)


def open_source(store: StoragePath, recipe: Recipe, device: torch.device = CPU) -> RunData:
    """Open a store for a recipe, with a gigabyte for clips."""
    budget = MemoryBudget(device=10**9, host=10**9)
    return RunData.open(store, recipe, device, budget)


def make_batch(real: Sequence[Sequence[bool]], frames: int = MODEL.frames, copies: bool = False) -> Batch:
    """Return a batch of random walks; slots that are not real hold zeros, or a copy of the first body."""
    filled = torch.tensor(real)
    x = 0.1 * torch.randn(*filled.shape, frames, 25, 3, generator=torch.Generator().manual_seed(0)).cumsum(2)
    empty = x[:, :1] if copies else torch.zeros(())
    clip = torch.arange(len(filled))
    x = torch.where(filled[:, :, None, None, None], x, empty)
    return Batch(x, None, clip % CLASSES, clip, filled, find_unique_bodies(filled, copies))


def masked_loss(model: nn.Module, recipe: PretrainRecipe) -> Callable[[Batch, int], Tensor]:
    """Return the loss of a recipe's objective, by batch and epoch."""
    loss = loss_function(make_objective(recipe), model)
    return lambda batch, epoch: loss(batch, epoch).total


class OneStepAnEpoch:
    """Batches of which only the number of steps is asked for."""

    batch_size, steps = 1, 1

    def clip_ids(self, epoch: int, step: int) -> list[str]:
        return [f"clip{epoch}", f"clip{step}"]


def make_trainer(
    loss: Callable[[Batch, int], Tensor | Loss], optimiser: torch.optim.Optimizer, **changes: Any
) -> Trainer:
    """Return a trainer whose steps can be taken one by one; it has no run folder."""

    def loss_fn(batch: Batch, epoch: int) -> Loss:
        made = loss(batch, epoch)
        return made if isinstance(made, Loss) else Loss(made)

    settings: dict[str, Any] = {
        "recipe": pretrain_recipe(),
        "identity": RunIdentity(task="pretrain", store_hash="s", manifest_hash="m", encoder=UNTRAINED),
        "module": nn.Identity(),
        "loss_fn": loss_fn,
        "optimiser": optimiser,
        "microbatches": OneStepAnEpoch(),
        "device": CPU,
        "context": RunContext(Path("none")),
    }
    return Trainer(**{**settings, **changes})


class SignalAfter:
    """Progress that sends this process a signal when a number of steps are done."""

    def __init__(self, steps: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.left, self.number = steps, number

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None:
        self.left -= done

    def advance(self, count: int, **values: float | int | str) -> None:
        if count:
            self.left -= count
            if self.left == 0:
                os.kill(os.getpid(), self.number)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in CLOCK} for line in lines]


def last_checkpoint(run: Path) -> Checkpoint:
    folder = latest_checkpoint(run)
    assert folder is not None
    return read_checkpoint(folder)


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, optimiser and metrics are equal; bit for bit, and apart from the clock."""
    first, second = last_checkpoint(one), last_checkpoint(other)
    assert first.step == second.step
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights | second.weights)
    assert_equal(first.state["optimiser"], second.state["optimiser"])
    assert read_metrics(one) == read_metrics(other)


def assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other
