"""Owns a run's folder and its course: begin or take up again, train, save, stop when asked to, record."""

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from torch import nn

from mamp_schemas.errors import OutputError
from mamp_schemas.output import output_errors
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import Recipe
from mamp_schemas.results import LinearResult, PretrainResult, RunRecord
from mamp_trainer import checkpoint
from mamp_trainer.belonging import Belonging
from mamp_trainer.loop import Batches, Position, Training, train
from mamp_trainer.metrics import Metrics
from mamp_trainer.output import write_file
from mamp_trainer.runtime import Interrupted, interruptible, versions
from mamp_trainer.step import Step
from mamp_trainer.tally import Tally
from mamp_trainer.tasks.resume import capture, restore

RECIPE_FILE = "recipe.yaml"
RECORD_FILE = "run.json"

Pause = Callable[[], None]


def refuse_existing(run: Path, resume: bool) -> None:
    """Refuse a folder that already holds something, unless it is to be gone on with.

    Raises:
        OutputError: the folder is not empty, or is a file.
    """
    if run.exists() and not run.is_dir():
        raise OutputError(f"{run} is a file, not a run's folder", remedy="Name another folder.")
    if run.exists() and any(run.iterdir()) and not resume:
        raise OutputError(
            f"{run} already holds a run", remedy="Go on with it by --resume, or name another folder with --out."
        )


class Session:
    """One sitting of a run.

    Args:
        run: its folder.
        recipe: what is trained.
        belonging: what its checkpoints belong to.
        progress: who watches.
    """

    def __init__(self, run: Path, recipe: Recipe, belonging: Belonging, progress: Progress) -> None:
        self.run, self.recipe, self.belonging, self.progress = run, recipe, belonging, progress

    def train(
        self,
        module: nn.Module,
        step: Step,
        batches: Batches,
        measure: Callable[[Pause], Mapping[str, float]],
        resume: bool,
    ) -> Tally:
        """Train from the start or from the latest checkpoint to the end of the schedule.

        Args:
            module: what is saved.
            step: takes optimiser steps on some of its parameters.
            batches: what they are taken on.
            measure: called at the end of an epoch, with what it may call where it can be interrupted.
            resume: whether to go on from the run's latest checkpoint.

        Raises:
            Interrupted: SIGINT or SIGTERM came; a checkpoint has been written.
        """
        position, tally = self._begin(module, step, resume)
        done = position.epoch * batches.steps + position.step
        self.progress.start(self.recipe.kind, self.recipe.schedule.epochs * batches.steps, "steps", done)
        with Metrics(self.run, self.progress, tally, done) as metrics, interruptible() as pause:
            training = Training(
                step=step,
                batches=batches,
                schedule=self.recipe.schedule,
                checkpoint_every=self.recipe.checkpoint_every,
                metrics=metrics,
                measure=lambda: measure(pause),
                save=lambda: self._save(module, training),
                pause=pause,
                position=position,
            )
            self._train_until_stopped(training)
        return tally

    def record(self, result: PretrainResult | LinearResult, encoder: str, device: str) -> None:
        """Write the run's record: its presence says that the run is complete.

        Args:
            result: the outcome.
            encoder: what the encoder was at the start.
            device: what it ran on.
        """
        record = RunRecord(
            task=self.recipe.kind,
            dataset=self.recipe.dataset,
            protocol=self.recipe.protocol,
            recipe_hash=self.recipe.digest(),
            store_hash=self.belonging.store_hash,
            manifest_hash=self.belonging.manifest_hash,
            encoder=encoder,
            seed=self.recipe.seed,
            device=device,
            versions=versions(),
            result=result,
        )
        write_file(self.run / RECORD_FILE, record.model_dump_json(indent=2).encode() + b"\n")

    def _begin(self, module: nn.Module, step: Step, resume: bool) -> tuple[Position, Tally]:
        found = restore(self.run, self.recipe, self.belonging, module, step.optimiser) if resume else None
        if found is not None:
            self.progress.message(f"going on after epoch {found[0].epoch}, step {found[0].step} of the next")
            return found
        settings = yaml.safe_dump(self.recipe.model_dump(mode="json"), sort_keys=False)
        if resume:
            self._refuse_foreign(settings)
            self.progress.message(f"{self.run} has no checkpoint yet: beginning at the first step")
        with output_errors(self.run):
            self.run.mkdir(parents=True, exist_ok=True)
        write_file(self.run / RECIPE_FILE, settings.encode())
        return Position(), Tally()

    def _refuse_foreign(self, settings: str) -> None:
        """Refuse to begin anew in a folder of other things, or of another recipe's run."""
        recipe = self.run / RECIPE_FILE
        own = recipe.exists() and recipe.read_text() == settings
        if self.run.exists() and any(self.run.iterdir()) and not own:
            raise OutputError(
                f"{self.run}: there is no checkpoint to go on from, and what it holds is not of this recipe's run",
                remedy="Name another folder with --out.",
            )

    def _train_until_stopped(self, training: Training) -> None:
        try:
            train(training)
        except Interrupted as stop:
            training.save()
            self.progress.message(
                f"{stop}: stopped after step {training.steps_done}; a checkpoint is written. "
                f"Go on with the same command and --resume (run: {self.run})."
            )
            raise
        if checkpoint.latest(self.run) is None:
            training.save()

    def _save(self, module: nn.Module, training: Training) -> None:
        training.metrics.add_losses(training.step.settle())
        state = capture(training.step.optimiser, training.position, training.metrics.tally)
        checkpoint.save(self.run, training.steps_done, module, state, self.recipe, self.belonging)
