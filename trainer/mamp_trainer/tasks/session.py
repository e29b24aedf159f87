"""Owns the course of a run: begin or take up again, train, save, stop when asked to, record."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from torch import nn

from mamp_schemas.errors import Interrupted
from mamp_schemas.progress import Progress
from mamp_schemas.recipes import FinetuneRecipe, Recipe
from mamp_schemas.results import EncoderOrigin, EvaluationResult, PretrainResult, RunRecord
from mamp_trainer.belonging import Belonging
from mamp_trainer.checkpoint.files import Snapshot
from mamp_trainer.checkpoint.keep import latest
from mamp_trainer.checkpoint.writer import Writer
from mamp_trainer.compute import product_dtype
from mamp_trainer.hardware import describe_hardware
from mamp_trainer.loop import Position, Training, train
from mamp_trainer.metrics import Metrics
from mamp_trainer.ranks.group import ALONE, Ranks
from mamp_trainer.ranks.shares import Shares
from mamp_trainer.runtime import interruptible, now, versions
from mamp_trainer.step import Step
from mamp_trainer.tally import Tally
from mamp_trainer.tasks.folder import begin_folder, write_record
from mamp_trainer.tasks.resume import capture, restore
from mamp_trainer.watch.files import MetricsFiles, no_files
from mamp_trainer.watch.gauge import Gauge
from mamp_trainer.watch.profile import profiled

Pause = Callable[[], None]


@dataclass(frozen=True)
class Session:
    """One sitting of a run, as one of its ranks sees it. The first rank writes and tells, for all of them.

    Attributes:
        run: its folder.
        recipe: what is trained.
        belonging: what its checkpoints belong to.
        device: the one that this rank trains on.
        progress: who watches.
        ranks: who trains together.
        profile: steps to be profiled.
        flops: floating-point operations that a term of the loss takes.
        run_id: what the user calls this sitting in his logs.
    """

    run: Path
    recipe: Recipe
    belonging: Belonging
    device: torch.device
    progress: Progress
    ranks: Ranks = ALONE
    profile: int = 0
    flops: int = 0
    run_id: str | None = None

    def train(
        self,
        module: nn.Module,
        step: Step,
        shares: Shares,
        measure: Callable[[Pause], Mapping[str, float]],
        resume: bool,
        judge: str | None = None,
    ) -> Tally:
        """Train from the start or from the latest checkpoint to the end of the schedule.

        Args:
            module: what is saved.
            step: takes optimiser steps on some of its parameters.
            shares: what they are taken on.
            measure: called at the end of an epoch, with what it may call where it can be interrupted.
            resume: whether to go on from the run's latest checkpoint.
            judge: which measure makes the best epoch, whose checkpoint is kept.

        Raises:
            Interrupted: SIGINT or SIGTERM came; a checkpoint has been written.
        """
        position, tally = self._begin(module, step, resume)
        done = position.epoch * shares.steps + position.step
        self.progress.start(self.recipe.kind, self.recipe.schedule.epochs * shares.steps, "steps", done)
        with self._metrics(tally, done) as metrics, Writer(self.run) as writer, self._pauses() as pause:
            training = Training(
                step=step,
                shares=shares,
                schedule=self.recipe.schedule,
                checkpoint_every=self.recipe.checkpoint_every,
                judge=judge,
                metrics=metrics,
                measure=lambda: measure(pause),
                save=lambda: self._save(module, training, writer),
                pause=pause,
                position=position,
            )
            self._train_until_stopped(training, writer)
        return tally

    def record(
        self,
        result: PretrainResult | EvaluationResult,
        tally: Tally,
        encoder: str,
        device: str,
        origin: EncoderOrigin | None = None,
    ) -> None:
        """Write the run's record: its presence says that the run is complete.

        Args:
            result: the outcome.
            tally: what training has left.
            encoder: what the encoder was at the start, in words.
            device: what it ran on.
            origin: where the encoder came from, if it was trained.
        """
        if not self.ranks.first:
            return
        recipe = self.recipe
        record = RunRecord(
            format_version=2,
            task=recipe.kind,
            recipe=recipe.name,
            dataset=recipe.dataset,
            protocol=recipe.protocol,
            subset=recipe.subset if isinstance(recipe, FinetuneRecipe) else None,
            recipe_hash=recipe.digest(),
            store_hash=self.belonging.store_hash,
            manifest_hash=self.belonging.manifest_hash,
            encoder=encoder,
            origin=origin,
            seed=recipe.seed,
            device=device if self.ranks.count == 1 else f"{self.ranks.count} × {device}",
            hardware=describe_hardware(self.ranks.count),
            versions=versions(),
            started=datetime.fromisoformat(tally.started) if tally.started else None,
            finished=now(),
            sittings=tally.sittings if tally.started else None,
            run_id=self.run_id,
            result=result,
        )
        write_record(self.run, record)

    def _begin(self, module: nn.Module, step: Step, resume: bool) -> tuple[Position, Tally]:
        """Take up the run or begin it: from the same checkpoint on all ranks, that which the first one sees."""
        folder = latest(self.run) if resume and self.ranks.first else None
        name = self.ranks.share(str(folder or ""))
        if name:
            position, tally = restore(Path(name), self.recipe, self.belonging, module, step.optimiser)
            tally.sittings += 1
            self.progress.message(f"going on after epoch {position.epoch}, step {position.step} of the next")
            return position, tally
        if self.ranks.first:
            begin_folder(self.run, self.recipe, resume, self.progress)
        return Position(), Tally(started=now().isoformat())

    @contextmanager
    def _metrics(self, tally: Tally, done: int) -> Iterator[Metrics]:
        dtype = product_dtype(self.recipe.precision)
        gauge = Gauge(self.device, self.flops, self.ranks.count, dtype)
        if not self.ranks.first:
            yield Metrics(no_files, self.progress, tally, gauge)
            return
        with MetricsFiles(self.run, tally.lines, done) as files:
            yield Metrics(files.write, self.progress, tally, gauge)

    @contextmanager
    def _pauses(self) -> Iterator[Pause]:
        """Yield what is called between steps."""
        steps = self.profile if self.ranks.first else 0
        with interruptible(self.ranks) as pause, profiled(self.run, steps, self.progress) as profile_step:

            def between() -> None:
                profile_step()
                pause()

            yield between

    def _train_until_stopped(self, training: Training, writer: Writer) -> None:
        try:
            train(training)
        except Interrupted as stop:
            training.save()
            writer.wait()
            self.progress.message(
                f"interrupted: {stop}: stopped after step {training.steps_done}; a checkpoint is written. "
                f"Go on with the same command and --resume (run: {self.run})."
            )
            stop.told = True
            raise
        writer.wait()
        if latest(self.run) is None:
            training.save()

    def _save(self, module: nn.Module, training: Training, writer: Writer) -> None:
        training.settle()
        if not self.ranks.first:
            return
        state = capture(training.step.optimiser, training.position, training.metrics.tally)
        measure = training.measured()
        writer.submit(Snapshot.take(training.steps_done, module, state, self.recipe, self.belonging, measure))
