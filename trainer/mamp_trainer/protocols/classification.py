"""Training a classifier by an evaluation protocol, and measuring it after every epoch (section 4.3)."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mamp_schemas.errors import RecipeError
from mamp_schemas.io.atomic import write_file
from mamp_schemas.io.run_files import TOP1, TOP5, UNTRAINED
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import EvaluationRecipe
from mamp_schemas.models.results import EvaluationResult
from mamp_schemas.registry import PROTOCOLS
from mamp_trainer.checkpoints.load import weights_digest
from mamp_trainer.checkpoints.provenance import encoder_provenance, read_training
from mamp_trainer.data.batches import TestBatches
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.dataset import RunData
from mamp_trainer.data.rng import Draws
from mamp_trainer.distributed.batchnorm import distribute_batchnorm
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.models.clip_encoder import Classifier
from mamp_trainer.models.precision import compile_network, matmul_precision
from mamp_trainer.protocols.base import TrainedProtocol
from mamp_trainer.protocols.metrics import accuracy
from mamp_trainer.protocols.networks import make_classifier
from mamp_trainer.protocols.predictions import SCORES_FILE, ClipPredictions, predict_logits
from mamp_trainer.training.hooks import CheckInterrupt, Loss, LossFn, never_interrupt
from mamp_trainer.training.microbatch import MicrobatchSampler
from mamp_trainer.training.optim import make_optimiser
from mamp_trainer.training.run_dir import lock_run_dir, run_identity
from mamp_trainer.training.runtime import RunContext, measure_budget
from mamp_trainer.training.state import TrainState
from mamp_trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)


def train_classifier(
    recipe: EvaluationRecipe, store_path: StoragePath, encoder_from: Path | None, context: RunContext
) -> EvaluationResult:
    """Train a classifier by the protocol of a recipe, and measure it on the test split after every epoch.

    Args:
        recipe: the protocol, the encoder's shape, and how the classifier is trained.
        store_path: a finished store, its split manifest beside it.
        encoder_from: a pre-training run, one of its checkpoints, or a released `.pth` file; without it the
            encoder begins with initial weights, drawn from the recipe's seed.
        context: the run's folder, device, ranks and progress.

    Returns:
        Accuracy of the last epoch, and of the best one as chosen on the test split.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's, checkpoint's, output's and training's errors.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
    """
    protocol: TrainedProtocol[Any] = PROTOCOLS.get(recipe.kind)
    run, ranks = context.run_dir, context.dist_context
    with lock_run_dir(run, context.resume, ranks), matmul_precision(recipe.precision):
        device = context.torch_device()
        data = RunData.open(store_path, recipe, device, measure_budget(device, ranks))
        recipe = recipe.replaced(shuffle_window=data.residency.window)
        model = make_classifier(recipe, data.store.metadata.dataset_spec().classes, encoder_from).to(device)
        encoder = UNTRAINED if encoder_from is None else weights_digest(model.encoder.state_dict())
        origin = None if encoder_from is None else encoder_provenance(encoder_from, encoder)
        report_encoder(encoder_from, recipe)
        train, test = data.load_labelled("train"), data.load_labelled("test")
        _check_batch_size(min(len(train), recipe.batch_size))
        if recipe.compile:
            compile_network(model.encoder, device)
        if ranks.world_size > 1:
            distribute_batchnorm(model.head, ranks)
        optimiser = make_optimiser(protocol.optimiser_groups(model, recipe), recipe.optimiser)
        tests = data.test_batches(test)
        trainer = Trainer(
            recipe=recipe,
            identity=run_identity(data, encoder),
            module=model,
            loss_fn=loss_function(model, recipe, protocol),
            optimiser=optimiser,
            microbatches=MicrobatchSampler(data.train_batches(train), ranks, ids=data.ids["train"]),
            device=device,
            context=context,
            evaluate=_evaluation(model, tests, protocol, ranks),
            monitor=protocol.monitor,
            flops_per_term=protocol.flops(recipe, data.slots),
            test_clips=len(test),
        )
        state = trainer.fit()
        logits = predict_logits(model, tests, never_interrupt, ranks)
        if ranks.is_main:
            write_file(run / SCORES_FILE, ClipPredictions(data.ids["test"], test.table.label, logits).to_bytes())
        result = _evaluation_result(recipe, protocol, state, len(test))
        trainer.record(result, str(encoder_from or UNTRAINED), origin)
        return result


def loss_function(model: Classifier, recipe: EvaluationRecipe, protocol: TrainedProtocol[Any]) -> LossFn:
    """Return the loss of a batch; a frozen encoder stays in evaluation mode."""

    def loss(batch: Batch, epoch: int) -> Loss:
        model.train()
        if recipe.frozen_encoder:
            model.encoder.eval()
        return protocol.loss(model, batch, recipe, Draws(recipe.seed, epoch, batch.clip, recipe.kind))

    return loss


def report_encoder(encoder_from: Path | None, recipe: EvaluationRecipe) -> None:
    """Report that no encoder is named, or why accuracy on the one that is may not be comparable.

    Raises:
        RecipeError: the protocol requires an encoder, and none is named.
    """
    if encoder_from is None:
        if recipe.requires_encoder:
            raise RecipeError(
                f"recipe '{recipe.name}': train {recipe.kind} needs an encoder, none is named",
                remedy="Name its pre-training run with --from.",
            )
        if recipe.frozen_encoder:
            logger.info(
                f"no encoder is named (--from): the classifier is trained on features of an encoder that was never "
                f"trained, with initial weights of seed {recipe.seed}"
            )
        else:
            logger.info(
                f"no encoder is named (--from): encoder and head are trained from scratch, from initial weights of "
                f"seed {recipe.seed}"
            )
        return
    training = read_training(encoder_from)
    if training is not None:
        for warning in PROTOCOLS.get(recipe.kind).encoder_warnings(training, recipe):
            logger.warning(warning)


def _evaluation(
    model: Classifier, tests: TestBatches, protocol: TrainedProtocol[Any], dist_context: DistContext
) -> Callable[[CheckInterrupt], Mapping[str, float]]:
    label = tests.clips.table.label

    def evaluate(check_interrupt: CheckInterrupt) -> Mapping[str, float]:
        logits = predict_logits(model, tests, check_interrupt, dist_context)
        return {**accuracy(logits, label), **protocol.metrics(logits, label.to(logits.device))}

    return evaluate


def _check_batch_size(clips: int) -> None:
    if clips < 2:
        raise RecipeError(
            "a training batch has one clip; the classifier's batch normalisation needs two",
            remedy="Raise batch_size, or use a store with more training clips.",
        )


def _evaluation_result(
    recipe: EvaluationRecipe, protocol: TrainedProtocol[Any], state: TrainState, clips: int
) -> EvaluationResult:
    monitored = [epoch[protocol.monitor] for epoch in state.history]
    best, last = monitored.index(max(monitored)), state.history[-1]
    return EvaluationResult(
        kind=recipe.kind,
        epochs=len(state.history),
        clips=clips,
        last_top1=last[TOP1],
        last_top5=last[TOP5],
        best_top1=state.history[best][TOP1],
        best_epoch=best + 1,
        seconds=state.seconds,
        metrics={name: value for name, value in last.items() if name not in ("loss", TOP1, TOP5)},
    )
