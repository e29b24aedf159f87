"""Owns linear evaluation: a classifier of one linear layer on a fixed encoder's mean features."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mamp_schemas.errors import RecipeError
from mamp_schemas.places import Place
from mamp_schemas.progress import Progress, Silent
from mamp_schemas.recipes import LinearRecipe
from mamp_schemas.results import LinearResult
from mamp_trainer.belonging import UNTRAINED
from mamp_trainer.compute import compile_network, matmul_precision
from mamp_trainer.data.batches import TestBatches
from mamp_trainer.data.samples import Batch
from mamp_trainer.memory import measure_budget
from mamp_trainer.metrics import top_hits
from mamp_trainer.model.encoder import Encoder
from mamp_trainer.model.heads import Classifier, LinearHead
from mamp_trainer.optim import make_optimiser
from mamp_trainer.ranks.group import ALONE, Ranks
from mamp_trainer.ranks.norm import RankBatchNorm
from mamp_trainer.ranks.shares import Shares
from mamp_trainer.runtime import choose_device, describe_device, seeded
from mamp_trainer.step import Objective, Step
from mamp_trainer.tally import Tally
from mamp_trainer.tasks.folder import hold_folder
from mamp_trainer.tasks.session import Session
from mamp_trainer.tasks.source import Source
from mamp_trainer.watch.flops import term_flops
from mamp_trainer.weights import digest, load_encoder, pretraining_split

TOP1, TOP5 = "test_top1", "test_top5"


def linear(
    recipe: LinearRecipe,
    store_path: Place,
    run: Path,
    *,
    encoder_from: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    profile: int = 0,
) -> LinearResult:
    """Train a linear classifier on a fixed encoder, and measure it on the test side after every epoch.

    Args:
        recipe: the encoder's shape, and how the classifier is trained.
        store_path: a finished store, its split manifest beside it.
        run: the folder to be made: recipe.yaml, metrics.jsonl, tensorboard/, checkpoints/, and run.json at the end.
        encoder_from: a pre-training run, one of its checkpoints, or a released `.pth` file; without it the
            encoder keeps its initial weights, drawn from the recipe's seed.
        resume: go on from the run's latest checkpoint.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.
        ranks: who trains together; this process is one of them.
        profile: steps to be profiled, into the run's folder.

    Returns:
        Accuracy of the last epoch, and of the best one as chosen on the test side.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's, checkpoint's, output's and training's errors.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
    """
    with hold_folder(run, resume, ranks):
        chosen, watcher = choose_device(device, ranks.seat), progress or Silent()
        source = Source.open(store_path, recipe, chosen, measure_budget(chosen, ranks), watcher)
        recipe = recipe.replaced(shuffle_window=source.placement.window)
        model = make_classifier(recipe, source.store.metadata.spec().classes, encoder_from, watcher).to(chosen)
        encoder = UNTRAINED if encoder_from is None else digest(model.encoder.state_dict())
        name = UNTRAINED if encoder_from is None else f"{encoder_from} (weights {encoder[:16]})"
        _announce(encoder_from, recipe, watcher)
        train, test = (source.load_labelled(side) for side in ("train", "test"))
        _check_batch(min(len(train), recipe.batch_size))
        if recipe.compile:
            compile_network(model.encoder, chosen)
        if ranks.count > 1:
            model.head.bn = RankBatchNorm(model.head.bn, ranks).to(chosen)
        step = Step(classification_loss(model), make_optimiser(model, recipe.optimiser), ranks)
        shares = Shares(source.train_batches(train), ranks, ids=source.ids["train"])
        measure = partial(accuracy, model, source.test_batches(test), ranks=ranks)
        flops = term_flops(recipe, source.slots)
        session = Session(run, recipe, source.belonging(encoder), chosen, watcher, ranks, profile, flops)
        with matmul_precision(recipe.precision):
            tally = session.train(model, step, shares, measure, resume, judge=TOP1)
        result = _summarise(tally, len(test))
        session.record(result, name, describe_device(chosen))
        return result


def make_classifier(
    recipe: LinearRecipe, classes: int, encoder_from: Path | None, progress: Progress | None = None
) -> Classifier:
    """Return a classifier, its head drawn from the recipe's seed, its encoder fixed.

    The seed gives the same head whether or not an encoder is named.

    Raises:
        CheckpointError: the named encoder cannot be read or has another shape.
    """
    with seeded(recipe.seed):
        model = Classifier(Encoder(recipe.model), LinearHead(recipe.model.width, classes), recipe.precision)
    if encoder_from is not None:
        model.encoder.load_state_dict(load_encoder(encoder_from, recipe.model, progress))
    model.encoder.requires_grad_(False)
    return model


def classification_loss(model: Classifier) -> Objective:
    """Return the cross-entropy of a batch; the encoder stays in evaluation mode."""

    def loss(batch: Batch, _epoch: int) -> Tensor:
        model.encoder.eval()
        model.head.train()
        return F.cross_entropy(model(batch.x, batch.slots), batch.label)

    return loss


@torch.no_grad()
def accuracy(
    model: Classifier, batches: TestBatches, pause: Callable[[], None], ranks: Ranks = ALONE
) -> dict[str, float]:
    """Return top-1 and top-5 accuracy in percent over every clip of `batches`, each counted once.

    Args:
        model: set to evaluation mode.
        batches: the test side.
        pause: called between batches; may raise to stop.
        ranks: among whom the clips are divided.
    """
    model.eval()
    hits = torch.zeros(2, dtype=torch.int64, device=batches.clips.device)
    for step in range(batches.steps):
        batch = batches.batch(step, ranks.rank, ranks.count)
        if len(batch.clip):
            hits += top_hits(model(batch.x, batch.slots), batch.label)
        pause()
    ranks.add(hits)
    top1, top5 = (100 * hits.double() / len(batches.clips)).tolist()
    return {TOP1: top1, TOP5: top5}


def _announce(encoder_from: Path | None, recipe: LinearRecipe, watcher: Progress) -> None:
    """Say that the encoder is untrained, or that its pre-training saw test clips."""
    if encoder_from is None:
        watcher.message(f"no encoder is named: it stays untrained, with initial weights of seed {recipe.seed}")
        return
    split = pretraining_split(encoder_from)
    if split is not None and split[0] == recipe.dataset and split[1] != recipe.protocol:
        watcher.message(
            f"warning: the encoder was pre-trained on {split[0]} {split[1]}, whose training clips include test clips "
            f"of {recipe.protocol}: the accuracy is not comparable with published ones"
        )


def _check_batch(clips: int) -> None:
    if clips < 2:
        raise RecipeError(
            "a training batch has one clip; the classifier's batch normalisation needs two",
            remedy="Raise batch_size, or use a store with more training clips.",
        )


def _summarise(tally: Tally, clips: int) -> LinearResult:
    top1 = [epoch[TOP1] for epoch in tally.history]
    best = max(top1)
    return LinearResult(
        kind="linear",
        epochs=len(top1),
        clips=clips,
        last_top1=top1[-1],
        last_top5=tally.history[-1][TOP5],
        best_top1=best,
        best_epoch=top1.index(best) + 1,
        seconds=tally.seconds,
    )
