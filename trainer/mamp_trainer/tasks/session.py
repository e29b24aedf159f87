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
from mamp_schemas.results import EncoderProvenance, EvaluationResult, PretrainResult, RunRecord
from mamp_trainer.belonging import RunIdentity
from mamp_trainer.checkpoint.files import Snapshot
from mamp_trainer.checkpoint.keep import latest_checkpoint
from mamp_trainer.checkpoint.writer import CheckpointWriter
from mamp_trainer.compute import matmul_dtype
from mamp_trainer.hardware import describe_hardware
from mamp_trainer.loop import Position, TrainingLoop, train_epochs
from mamp_trainer.metrics import MetricsLogger
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext
from mamp_trainer.ranks.shares import MicrobatchSampler
from mamp_trainer.runtime import interruptible, utc_now, package_versions
from mamp_trainer.step import TrainStep
from mamp_trainer.tally import TrainState
from mamp_trainer.tasks.folder import init_run_dir, write_record
from mamp_trainer.tasks.resume import capture_state, restore_state
from mamp_trainer.watch.files import MetricsWriter, discard_metrics
from mamp_trainer.watch.gauge import ThroughputMeter
from mamp_trainer.watch.profile import profile_steps

InterruptCheck = Callable[[], None]


@dataclass(frozen=True)
class Trainer:
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
    identity: RunIdentity
    device: torch.device
    progress: Progress
    dist_context: DistContext = SINGLE_PROCESS
    profile_steps: int = 0
    flops_per_term: int = 0
    run_id: str | None = None

    def train(
        self,
        module: nn.Module,
        step: TrainStep,
        microbatches: MicrobatchSampler,
        evaluate: Callable[[InterruptCheck], Mapping[str, float]],
        resume: bool,
        monitor: str | None = None,
    ) -> TrainState:
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
        position, tally = self._begin_or_resume(module, step, resume)
        done = position.epoch * microbatches.steps + position.step
        self.progress.start(self.recipe.kind, self.recipe.schedule.epochs * microbatches.steps, "steps", done)
        with self._metrics(tally, done) as metrics, CheckpointWriter(self.run) as writer, self._interrupt_checks() as pause:
            training = TrainingLoop(
                step=step,
                microbatches=microbatches,
                schedule=self.recipe.schedule,
                checkpoint_every=self.recipe.checkpoint_every,
                monitor=monitor,
                metrics=metrics,
                evaluate=lambda: evaluate(pause),
                save=lambda: self._save(module, training, writer),
                check_interrupt=pause,
                position=position,
            )
            self._train_until_stopped(training, writer)
        return tally

    def record(
        self,
        result: PretrainResult | EvaluationResult,
        state: TrainState,
        encoder: str,
        device: str,
        origin: EncoderProvenance | None = None,
    ) -> None:
        """Write the run's record: its presence says that the run is complete.

        Args:
            result: the outcome.
            tally: what training has left.
            encoder: what the encoder was at the start, in words.
            device: what it ran on.
            origin: where the encoder came from, if it was trained.
        """
        if not self.dist_context.is_main:
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
            store_hash=self.identity.store_hash,
            manifest_hash=self.identity.manifest_hash,
            encoder=encoder,
            origin=origin,
            seed=recipe.seed,
            device=device if self.dist_context.world_size == 1 else f"{self.dist_context.world_size} × {device}",
            hardware=describe_hardware(self.dist_context.world_size),
            versions=package_versions(),
            started=datetime.fromisoformat(state.started) if state.started else None,
            finished=utc_now(),
            sittings=state.sittings if state.started else None,
            run_id=self.run_id,
            result=result,
        )
        write_record(self.run, record)

    def _begin_or_resume(self, module: nn.Module, step: TrainStep, resume: bool) -> tuple[Position, TrainState]:
        """Take up the run or begin it: from the same checkpoint on all ranks, that which the first one sees."""
        folder = latest_checkpoint(self.run) if resume and self.dist_context.is_main else None
        name = self.dist_context.broadcast_str(str(folder or ""))
        if name:
            position, tally = restore_state(Path(name), self.recipe, self.identity, module, step.optimiser)
            tally.sittings += 1
            self.progress.message(f"going on after epoch {position.epoch}, step {position.step} of the next")
            return position, tally
        if self.dist_context.is_main:
            init_run_dir(self.run, self.recipe, resume, self.progress)
        return Position(), TrainState(started=utc_now().isoformat())

    @contextmanager
    def _metrics(self, state: TrainState, done: int) -> Iterator[MetricsLogger]:
        dtype = matmul_dtype(self.recipe.precision)
        gauge = ThroughputMeter(self.device, self.flops_per_term, self.dist_context.world_size, dtype)
        if not self.dist_context.is_main:
            yield MetricsLogger(discard_metrics, self.progress, state, gauge)
            return
        with MetricsWriter(self.run, state.lines, done) as files:
            yield MetricsLogger(files.write, self.progress, state, gauge)

    @contextmanager
    def _interrupt_checks(self) -> Iterator[InterruptCheck]:
        """Yield what is called between steps."""
        steps = self.profile_steps if self.dist_context.is_main else 0
        with interruptible(self.dist_context) as pause, profile_steps(self.run, steps, self.progress) as profile_step:

            def between() -> None:
                profile_step()
                pause()

            yield between

    def _train_until_stopped(self, training: TrainingLoop, writer: CheckpointWriter) -> None:
        try:
            train_epochs(training)
        except Interrupted as stop:
            training.save()
            writer.wait()
            self.progress.message(
                f"interrupted: {stop}: stopped after step {training.steps_done}; a checkpoint is written. "
                f"Go on with the same command and --resume (run: {self.run})."
            )
            stop.user_informed = True
            raise
        writer.wait()
        if latest_checkpoint(self.run) is None:
            training.save()

    def _save(self, module: nn.Module, training: TrainingLoop, writer: CheckpointWriter) -> None:
        training.flush_metrics()
        if not self.dist_context.is_main:
            return
        state = capture_state(training.step.optimiser, training.position, training.metrics.state)
        measure = training.monitored_value()
        writer.submit(Snapshot.take(training.steps_done, module, state, self.recipe, self.identity, measure))
