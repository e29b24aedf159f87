"""Ranks as threads of the test's process, connected by gloo as processes are; and training in float64."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mamp_schemas.errors import Interrupted
from mamp_schemas.io.run_files import TOP1, UNTRAINED
from mamp_schemas.models.objectives import MAMPRecipe
from mamp_schemas.models.recipe import EvaluationRecipe
from mamp_schemas.progress import NullProgress, Progress
from mamp_schemas.registry import PROTOCOLS
from mamp_trainer.data.collate import Batch
from mamp_trainer.distributed.batchnorm import distribute_batchnorm
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.objectives.pretrain import loss_function, make_objective
from mamp_trainer.protocols.classification import loss_function as protocol_loss
from mamp_trainer.protocols.metrics import accuracy
from mamp_trainer.protocols.networks import make_classifier
from mamp_trainer.protocols.predictions import predict_logits
from mamp_trainer.training.hooks import Loss, LossFn
from mamp_trainer.training.microbatch import MicrobatchSampler
from mamp_trainer.training.optim import make_optimiser, parameter_groups
from mamp_trainer.training.run_dir import run_identity
from mamp_trainer.training.runtime import RunContext, seeded
from mamp_trainer.training.state import TrainState
from mamp_trainer.training.trainer import Trainer
from tests.trainer.runs import open_source
from tests.waiting import HANG_SECONDS

CPU = torch.device("cpu")
T = TypeVar("T")
_seeding = threading.Lock()


def together(count: int, work: Callable[[DistContext], T]) -> list[T]:
    """Return what each of `count` ranks makes of `work`, all at once."""
    store = dist.HashStore()

    def start(rank: int) -> T:
        group = dist.ProcessGroupGloo(store, rank, count, timedelta(seconds=HANG_SECONDS))
        return work(DistContext(rank, count, rank, count, group))

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(start, range(count)))


class StopAfter(NullProgress):
    """Progress that stops training after a step, as a signal would."""

    def __init__(self, steps: int, number: int) -> None:
        self.left, self.number = steps, number

    def advance(self, count: int, **values: float | int | str) -> None:
        self.left -= count
        if count and not self.left:
            raise Interrupted(self.number)


def pretrain_in_double(
    recipe: MAMPRecipe,
    store: Path,
    run: Path,
    ranks: DistContext = SINGLE_PROCESS,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Tensor]:
    """Pre-train in float64 and return the weights."""
    source = open_source(store, recipe)
    clips, objective = source.load("train"), make_objective(recipe)
    with _seeding, seeded(recipe.seed):  # torch's generator is the whole process's
        model = objective.build().double()
    terms = objective.num_loss_terms(clips.table.bodies, source.slots)
    batches = source.train_batches(clips, terms)
    trainer = Trainer(
        recipe=recipe,
        identity=run_identity(source, UNTRAINED),
        module=model,
        loss_fn=_doubled(loss_function(objective, model)),
        optimiser=make_optimiser(parameter_groups(model, recipe.optimiser.weight_decay), recipe.optimiser),
        microbatches=MicrobatchSampler(batches, ranks, recipe.micro_batch, source.ids["train"]),
        device=CPU,
        context=RunContext(run, resume, device="cpu", progress=progress or NullProgress(), dist_context=ranks),
        hooks=objective,
    )
    trainer.fit()
    return _weights(model)


def classify_in_double(
    recipe: EvaluationRecipe, store: Path, run: Path, ranks: DistContext = SINGLE_PROCESS
) -> tuple[dict[str, Tensor], TrainState]:
    """Train a classifier in float64 and return its weights, and what was measured."""
    source, protocol = open_source(store, recipe), PROTOCOLS.get(recipe.kind)
    train, test = (source.load_labelled(side) for side in ("train", "test"))
    with _seeding:
        model = make_classifier(recipe, source.store.metadata.dataset_spec().classes, None)
    if ranks.world_size > 1:
        distribute_batchnorm(model.head, ranks)
    model.double()
    model.register_forward_pre_hook(lambda _model, inputs: (inputs[0].double(),))
    tests = source.test_batches(test)
    trainer = Trainer(
        recipe=recipe,
        identity=run_identity(source, UNTRAINED),
        module=model,
        loss_fn=_doubled(protocol_loss(model, recipe, protocol)),
        optimiser=make_optimiser(protocol.optimiser_groups(model, recipe), recipe.optimiser),
        microbatches=MicrobatchSampler(source.train_batches(train), ranks, ids=source.ids["train"]),
        device=CPU,
        context=RunContext(run, device="cpu", dist_context=ranks),
        evaluate=lambda check: accuracy(predict_logits(model, tests, check, ranks), test.table.label),
        monitor=TOP1,
    )
    state = trainer.fit()
    return _weights(model), state


def _doubled(loss_fn: LossFn) -> LossFn:
    def loss(batch: Batch, epoch: int) -> Loss:
        return loss_fn(replace(batch, x=batch.x.double()), epoch)

    return loss


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
