"""Owns the course that all four protocols share: train a classifier, and measure it after every epoch (section 4.3)."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from torch.optim import Optimizer

from mamp_schemas.errors import RecipeError
from mamp_schemas.places import Place
from mamp_schemas.progress import Progress, Silent
from mamp_schemas.recipes import FinetuneRecipe, LinearRecipe
from mamp_schemas.results import EvaluationResult
from mamp_trainer.belonging import UNTRAINED
from mamp_trainer.classifiers import ClassifierRecipe, make_classifier
from mamp_trainer.compute import compile_network, matmul_precision
from mamp_trainer.data.batches import TestBatches
from mamp_trainer.memory import measure_budget
from mamp_trainer.model.heads import Classifier
from mamp_trainer.output import write_file
from mamp_trainer.ranks.group import Ranks
from mamp_trainer.ranks.norm import RankBatchNorm
from mamp_trainer.ranks.shares import Shares
from mamp_trainer.runtime import choose_device, describe_device
from mamp_trainer.scores import SCORES_FILE, TOP1, TOP5, Scores, accuracy, class_scores
from mamp_trainer.step import Objective, Step
from mamp_trainer.tally import Tally
from mamp_trainer.tasks.doubts import announce_encoder
from mamp_trainer.tasks.folder import hold_folder
from mamp_trainer.tasks.session import Pause, Session
from mamp_trainer.tasks.source import Source
from mamp_trainer.watch.flops import term_flops
from mamp_trainer.weights import digest, find_origin

R = TypeVar("R", LinearRecipe, FinetuneRecipe)


class Method(NamedTuple, Generic[R]):
    """How a classifier is trained: what goes down, and by which optimiser."""

    loss: Callable[[Classifier, R], Objective]
    optimiser: Callable[[Classifier, R], Optimizer]


class Sitting(NamedTuple):
    """Where and how a run is trained, on which none of its numbers depends.

    Attributes:
        run: the folder to be made: recipe.yaml, metrics.jsonl, tensorboard/, checkpoints/, and at the end
            scores.npz, what the last epoch's classifier says of the test clips, and run.json.
        resume: go on from the run's latest checkpoint.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.
        ranks: who trains together; this process is one of them.
        profile: steps to be profiled, into the run's folder.
        run_id: what the user calls it in his logs.
    """

    run: Path
    resume: bool
    device: str
    progress: Progress | None
    ranks: Ranks
    profile: int
    run_id: str | None = None


def train_classifier(
    recipe: R, store_path: Place, encoder_from: Path | None, method: Method[R], sitting: Sitting
) -> EvaluationResult:
    """Train a classifier, and measure it on the test side after every epoch.

    Args:
        recipe: the encoder's shape, and how the classifier is trained.
        store_path: a finished store, its split manifest beside it.
        encoder_from: a pre-training run, one of its checkpoints, or a released `.pth` file; without it the
            encoder begins with initial weights, drawn from the recipe's seed.
        method: how it is trained.
        sitting: where.

    Returns:
        Accuracy of the last epoch, and of the best one as chosen on the test side.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's, checkpoint's, output's and training's errors.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
    """
    run, ranks, watcher = sitting.run, sitting.ranks, sitting.progress or Silent()
    with hold_folder(run, sitting.resume, ranks), matmul_precision(recipe.precision):
        device = choose_device(sitting.device, ranks.seat)
        source = Source.open(store_path, recipe, device, measure_budget(device, ranks), watcher)
        recipe = recipe.replaced(shuffle_window=source.placement.window)
        model = make_classifier(recipe, source.store.metadata.spec().classes, encoder_from, watcher).to(device)
        encoder = UNTRAINED if encoder_from is None else digest(model.encoder.state_dict())
        origin = None if encoder_from is None else find_origin(encoder_from, encoder)
        announce_encoder(encoder_from, recipe, watcher)
        train, test = source.load_labelled("train"), source.load_labelled("test")
        _check_batch(min(len(train), recipe.batch_size))
        if recipe.compile:
            compile_network(model.encoder, device)
        if ranks.count > 1:
            model.head.bn = RankBatchNorm(model.head.bn, ranks).to(device)
        step = Step(method.loss(model, recipe), method.optimiser(model, recipe), ranks)
        shares = Shares(source.train_batches(train), ranks, ids=source.ids["train"])
        tests = source.test_batches(test)
        flops = term_flops(recipe, source.slots)
        belonging = source.belonging(encoder)
        session = Session(run, recipe, belonging, device, watcher, ranks, sitting.profile, flops, sitting.run_id)
        measure = _measure(model, tests, ranks)
        tally = session.train(model, step, shares, measure, sitting.resume, judge=TOP1)
        logits = class_scores(model, tests, _go_on, ranks)
        if ranks.first:
            write_file(run / SCORES_FILE, Scores(source.ids["test"], test.table.label, logits).to_bytes())
        result = _summarise(recipe, tally, len(test))
        session.record(result, tally, str(encoder_from or UNTRAINED), describe_device(device), origin)
        return result


def _measure(model: Classifier, tests: TestBatches, ranks: Ranks) -> Callable[[Pause], dict[str, float]]:
    return lambda pause: accuracy(class_scores(model, tests, pause, ranks), tests.clips.table.label)


def _go_on() -> None:
    """Stop nowhere: the last checkpoint is written, and a signal loses nothing."""


def _check_batch(clips: int) -> None:
    if clips < 2:
        raise RecipeError(
            "a training batch has one clip; the classifier's batch normalisation needs two",
            remedy="Raise batch_size, or use a store with more training clips.",
        )


def _summarise(recipe: ClassifierRecipe, tally: Tally, clips: int) -> EvaluationResult:
    top1 = [epoch[TOP1] for epoch in tally.history]
    best = max(top1)
    return EvaluationResult(
        kind=recipe.kind,
        epochs=len(top1),
        clips=clips,
        last_top1=top1[-1],
        last_top5=tally.history[-1][TOP5],
        best_top1=best,
        best_epoch=top1.index(best) + 1,
        seconds=tally.seconds,
    )
