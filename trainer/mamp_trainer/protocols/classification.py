"""The course that all trained protocols share; train a classifier and measure it after every epoch (section 4.3)."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from torch.optim import Optimizer

from mamp_schemas.errors import RecipeError
from mamp_schemas.io.atomic import write_file
from mamp_schemas.io.run_files import TOP1, TOP5, UNTRAINED
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import FinetuneRecipe, LinearRecipe
from mamp_schemas.models.results import EvaluationResult
from mamp_schemas.progress import NullProgress
from mamp_trainer.checkpoints.load import weights_digest
from mamp_trainer.checkpoints.provenance import EncoderTraining, encoder_provenance, read_training
from mamp_trainer.data.batches import TestBatches
from mamp_trainer.data.dataset import RunData
from mamp_trainer.distributed.batchnorm import DistributedBatchNorm
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.models.heads import Classifier
from mamp_trainer.models.precision import compile_network, matmul_precision
from mamp_trainer.protocols.classifier import ClassifierRecipe, make_classifier
from mamp_trainer.protocols.metrics import accuracy
from mamp_trainer.protocols.predictions import SCORES_FILE, ClipPredictions, predict_logits
from mamp_trainer.telemetry.flops import loss_term_flops
from mamp_trainer.training.memory import measure_budget
from mamp_trainer.training.microbatch import MicrobatchSampler
from mamp_trainer.training.run_dir import lock_run_dir
from mamp_trainer.training.runtime import RunContext, choose_device, describe_device
from mamp_trainer.training.state import TrainState
from mamp_trainer.training.trainer import InterruptCheck, LossFn, Trainer, TrainStep

logger = logging.getLogger(__name__)


def report_encoder(encoder_from: Path | None, recipe: ClassifierRecipe) -> None:
    """Say that no encoder is named, or that what it was pre-trained on is not what the recipe is about.

    Raises:
        RecipeError: transfer without an encoder.
    """
    wanted = recipe.pretrained_on if isinstance(recipe, FinetuneRecipe) else None
    if encoder_from is None:
        if wanted is not None:
            raise RecipeError(
                f"recipe '{recipe.name}' transfers an encoder of {wanted.dataset} {wanted.protocol}: none is named",
                remedy="Name its pre-training run with --from.",
            )
        stays = "it stays untrained" if isinstance(recipe, LinearRecipe) else "training begins from scratch"
        logger.info(f"no encoder is named: {stays}, with initial weights of seed {recipe.seed}")
        return
    for warning in encoder_warnings(read_training(encoder_from), recipe):
        logger.warning(warning)


def encoder_warnings(trained: EncoderTraining | None, recipe: ClassifierRecipe) -> Iterator[str]:
    """Yield why the accuracy of an encoder may not be what the recipe is about."""
    if trained is None:
        return
    split = (trained.dataset, trained.protocol)
    wanted = recipe.pretrained_on if isinstance(recipe, FinetuneRecipe) else None
    if trained.kind != "pretrain":
        yield (
            f"the encoder is that of a run of train {trained.kind}, not of a pre-training: it may have learnt from "
            "labels already, and then the accuracy is not comparable with published ones"
        )
    if wanted is not None and split != (wanted.dataset, wanted.protocol):
        yield (
            f"the encoder was pre-trained on {' '.join(split)}; the recipe is about one of "
            f"{wanted.dataset} {wanted.protocol}"
        )
    if split[0] == recipe.dataset and split[1] != recipe.protocol:
        yield (
            f"the encoder was pre-trained on {' '.join(split)}, whose training clips include test clips "
            f"of {recipe.protocol}: the accuracy is not comparable with published ones"
        )


R = TypeVar("R", LinearRecipe, FinetuneRecipe)


class ClassifierMethod(NamedTuple, Generic[R]):
    """How a classifier is trained: what goes down, and by which optimiser."""

    loss: Callable[[Classifier, R], LossFn]
    optimiser: Callable[[Classifier, R], Optimizer]


def train_classifier(
    recipe: R, store_path: StoragePath, encoder_from: Path | None, method: ClassifierMethod[R], context: RunContext
) -> EvaluationResult:
    """Train a classifier, and measure it on the test side after every epoch.

    Args:
        recipe: the encoder's shape, and how the classifier is trained.
        store_path: a finished store, its split manifest beside it.
        encoder_from: a pre-training run, one of its checkpoints, or a released `.pth` file; without it the
            encoder begins with initial weights, drawn from the recipe's seed.
        method: how it is trained.
        context: where.

    Returns:
        Accuracy of the last epoch, and of the best one as chosen on the test side.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's, checkpoint's, output's and training's errors.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
    """
    run, ranks, watcher = context.run, context.dist_context, context.progress or NullProgress()
    with lock_run_dir(run, context.resume, ranks), matmul_precision(recipe.precision):
        device = choose_device(context.device, ranks.device_index)
        source = RunData.open(store_path, recipe, device, measure_budget(device, ranks))
        recipe = recipe.replaced(shuffle_window=source.residency.window)
        model = make_classifier(recipe, source.store.metadata.dataset_spec().classes, encoder_from).to(device)
        encoder = UNTRAINED if encoder_from is None else weights_digest(model.encoder.state_dict())
        origin = None if encoder_from is None else encoder_provenance(encoder_from, encoder)
        report_encoder(encoder_from, recipe)
        train, test = source.load_labelled("train"), source.load_labelled("test")
        _check_batch_size(min(len(train), recipe.batch_size))
        if recipe.compile:
            compile_network(model.encoder, device)
        if ranks.world_size > 1:
            model.head.bn = DistributedBatchNorm(model.head.bn, ranks).to(device)
        step = TrainStep(method.loss(model, recipe), method.optimiser(model, recipe), ranks)
        shares = MicrobatchSampler(source.train_batches(train), ranks, ids=source.ids["train"])
        tests = source.test_batches(test)
        flops = loss_term_flops(recipe, source.slots)
        belonging = source.run_identity(encoder)
        session = Trainer(run, recipe, belonging, device, watcher, ranks, context.profile_steps, flops, context.run_id)
        measure = _evaluation(model, tests, ranks)
        tally = session.train(model, step, shares, measure, context.resume, monitor=TOP1)
        logits = predict_logits(model, tests, _never_interrupt, ranks)
        if ranks.is_main:
            write_file(run / SCORES_FILE, ClipPredictions(source.ids["test"], test.table.label, logits).to_bytes())
        result = _evaluation_result(recipe, tally, len(test))
        session.record(result, tally, str(encoder_from or UNTRAINED), describe_device(device), origin)
        return result


def _evaluation(
    model: Classifier, tests: TestBatches, dist_context: DistContext
) -> Callable[[InterruptCheck], dict[str, float]]:
    return lambda pause: accuracy(predict_logits(model, tests, pause, dist_context), tests.clips.table.label)


def _never_interrupt() -> None:
    """Stop nowhere: the last checkpoint is written, and a signal loses nothing."""


def _check_batch_size(clips: int) -> None:
    if clips < 2:
        raise RecipeError(
            "a training batch has one clip; the classifier's batch normalisation needs two",
            remedy="Raise batch_size, or use a store with more training clips.",
        )


def _evaluation_result(recipe: ClassifierRecipe, state: TrainState, clips: int) -> EvaluationResult:
    top1 = [epoch[TOP1] for epoch in state.history]
    best = max(top1)
    return EvaluationResult(
        kind=recipe.kind,
        epochs=len(top1),
        clips=clips,
        last_top1=top1[-1],
        last_top5=state.history[-1][TOP5],
        best_top1=best,
        best_epoch=top1.index(best) + 1,
        seconds=state.seconds,
    )
