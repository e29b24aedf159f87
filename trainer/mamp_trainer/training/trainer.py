"""The training loop: epochs, optimiser steps, evaluations and checkpoints. `Trainer.fit` is where to begin."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mamp_schemas.errors import Interrupted, TrainingError
from mamp_schemas.io.run_files import UNTRAINED, latest_checkpoint, metrics_sha256
from mamp_schemas.models.recipe import PRETRAIN, Recipe
from mamp_schemas.models.results import EncoderProvenance, EvaluationResult, PretrainResult, RunRecord
from mamp_schemas.signals import InterruptCheck, interruptible
from mamp_trainer.checkpoints.files import RunIdentity, Snapshot
from mamp_trainer.checkpoints.manager import CheckpointWriter
from mamp_trainer.distributed.batchnorm import DistributedBatchNorm
from mamp_trainer.models.heartbeat import Abandoned, abandonable, heartbeat
from mamp_trainer.models.precision import matmul_dtype
from mamp_trainer.telemetry.meter import ThroughputMeter, profile_steps
from mamp_trainer.telemetry.writers import MetricsWriter, discard_metrics
from mamp_trainer.training.estimate import Work, report_time, time_passes
from mamp_trainer.training.hooks import CheckInterrupt, Hooks, Loss, LossFn, never_interrupt
from mamp_trainer.training.microbatch import FlatGradients, Microbatch, MicrobatchSampler
from mamp_trainer.training.optim import LR_SCALE, learning_rate
from mamp_trainer.training.run_dir import describe_hardware, init_run_dir, package_versions, utc_now, write_record
from mamp_trainer.training.runtime import RunContext, describe_device, resume_torch_threads
from mamp_trainer.training.state import (
    MetricsLogger,
    Position,
    StepStats,
    TrainState,
    WriteMetrics,
    capture_state,
    restore_state,
)

logger = logging.getLogger(__name__)

LOG_EVERY = 10
"""Steps between two lines of metrics; each line waits once for the device."""


def _no_evaluation(_check_interrupt: CheckInterrupt) -> Mapping[str, float]:
    return {}


@dataclass
class Trainer:
    """Trains a module from the start, or from a run's latest checkpoint, to the end of the recipe's schedule.

    All ranks run the same code on their shares of each batch; only the first one writes.

    Attributes:
        recipe: schedule, precision, and what is recorded.
        identity: what the run's checkpoints belong to.
        module: what is trained, and saved.
        loss_fn: the loss to be minimised.
        optimiser: over the parameters that the loss depends on.
        microbatches: the batches of an epoch, and this rank's share of each.
        device: the one that this rank trains on.
        context: the run's folder, ranks and progress.
        evaluate: called at the end of each epoch; what it returns goes into the epoch's metrics.
        monitor: the metric whose best epoch keeps its checkpoint, the higher the better; None for none.
        hooks: what else happens in a step.
        flops_per_term: floating-point operations of one loss term.
        test_clips: how many clips `evaluate` measures; None: the time that the training takes is not estimated.
        position: finished epochs, and steps of the current one.
    """

    recipe: Recipe
    identity: RunIdentity
    module: nn.Module
    loss_fn: LossFn
    optimiser: Optimizer
    microbatches: MicrobatchSampler
    device: torch.device
    context: RunContext
    evaluate: Callable[[CheckInterrupt], Mapping[str, float]] = _no_evaluation
    monitor: str | None = None
    hooks: Hooks = field(default_factory=Hooks)
    flops_per_term: int = 0
    test_clips: int | None = None
    position: Position = field(default=Position(), init=False)

    def __post_init__(self) -> None:
        parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        self.gradients = FlatGradients(parameters)
        self.check_interrupt: CheckInterrupt = never_interrupt
        self._check_signals: CheckInterrupt = never_interrupt
        # Ranks whose batch normalisation is over all of them wait for each other in the middle of a pass.
        self._abandonable = not any(isinstance(part, DistributedBatchNorm) for part in self.module.modules())
        self.metrics = self._metrics_logger(TrainState())
        self._writer: CheckpointWriter | None = None
        self._pending: list[_PendingStep] = []

    def fit(self) -> TrainState:
        """Train to the end of the schedule.

        Raises:
            TrainingError: a loss or gradient is not finite.
            Interrupted: SIGINT or SIGTERM came; a checkpoint has been written.
        """
        state = self._begin_or_resume()
        schedule, progress = self.recipe.schedule, self.context.progress
        progress.start(self.recipe.kind, schedule.epochs * self.microbatches.steps, "steps", self.steps_done)
        with self._open_outputs(state):
            try:
                self._report_time()
                while self.position.epoch < schedule.epochs:
                    self.train_epoch()
            except Interrupted as stop:
                self._save_interrupted(stop)
                raise
            if self._latest_checkpoint() is None:
                self.save()
        return state

    def _report_time(self) -> None:
        """Report how long the training will take, from a few timed passes; no number of the training changes."""
        epochs = self.recipe.schedule.epochs
        work = Work(
            epochs * self.microbatches.steps - self.steps_done, epochs - self.position.epoch, self.test_clips or 0
        )
        if self.test_clips is None or not work.steps:
            return
        ranks = self.context.dist_context
        # A run that was stopped while its test clips were measured has no step left of the epoch.
        epoch, step = self.position if self.position.step < self.microbatches.steps else (self.position.epoch + 1, 0)
        passes = time_passes(
            lambda batch: self.loss_fn(batch, epoch).total,
            self.module,
            self.microbatches,
            (epoch, step),
            self.device,
            ranks,
            self._check_signals,
            same_shape=self.recipe.compile or not self._on_cpu,
        )
        self.metrics.meter.reset()
        seconds = passes.total(work, self.microbatches.batch_size, ranks.world_size)
        own_encoder = self.recipe.kind == PRETRAIN or self.identity.encoder == UNTRAINED
        report_time(self.recipe, work, seconds, self._threads, alternatives=own_encoder)

    def train_epoch(self) -> None:
        """Take the steps that are left of the current epoch, evaluate, and save a checkpoint where one is due."""
        epoch, first = self.position
        for step in range(first, self.microbatches.steps):
            lr = learning_rate(self.steps_done, self.microbatches.steps, self.recipe.schedule)
            microbatches = self.microbatches.microbatches(epoch, step)
            self.train_step(self.metrics.meter.timed_microbatches(microbatches), epoch, step, lr)
            self.position = Position(epoch, step + 1)
            self.metrics.add_step(self.microbatches.batch_size, self.microbatches.num_loss_terms(epoch, step))
            if self.steps_done % LOG_EVERY == 0:
                self.flush_metrics()
                self.metrics.log_steps(epoch + 1, self.steps_done, lr)
            self.check_interrupt()
        self.metrics.measuring = True
        measured = self.evaluate(self.check_interrupt)
        self.metrics.measuring = False
        self.flush_metrics()
        self.metrics.log_epoch(epoch + 1, self.steps_done, measured)
        self.position = Position(epoch + 1)
        if self.should_checkpoint():
            self.save()

    def train_step(self, microbatches: Iterable[Microbatch], epoch: int, step: int, lr: float) -> None:
        """Take one optimiser step, without waiting for the device.

        On a CPU it is abandoned in the middle if a signal comes: nothing has changed then but gradients.

        Args:
            microbatches: this rank's share of the batch, at least one.
            epoch: 0-based.
            step: 0-based, within the epoch.
            lr: learning rate; parameter groups may scale it.
        """
        self.gradients.zero()
        losses: list[Loss] = []
        with self._restored_if_abandoned(), abandonable(self._check_signals):
            for microbatch in microbatches:
                losses.append(self._forward_backward(microbatch, epoch))
                self.metrics.microbatches_done += 1
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group.get(LR_SCALE, 1.0)
        self.gradients.all_reduce(self.context.dist_context)
        norm = self.gradients.norm()
        self.hooks.clip_gradients(self.gradients)
        self.optimiser.step()
        steps = self.microbatches.steps
        self.hooks.after_step(self.module, epoch * steps + step + 1, self.recipe.schedule.epochs * steps)
        self._pending.append(_PendingStep(epoch, step, _add(losses), norm))

    def _forward_backward(self, microbatch: Microbatch, epoch: int) -> Loss:
        """Add a microbatch's gradients to the others, and return its share of the loss."""
        loss = self.loss_fn(microbatch.batch, epoch)
        weighted = loss.total * microbatch.weight
        weighted.backward()  # type: ignore[no-untyped-call]
        parts = {name: part.detach() * microbatch.weight for name, part in loss.parts.items()}
        return Loss(weighted.detach(), parts)

    @contextmanager
    def _restored_if_abandoned(self) -> Iterator[None]:
        """Keep what a forward pass changes in the module (running statistics), and restore it after an interruption."""
        kept = [(buffer, buffer.clone()) for buffer in self.module.buffers()] if self._on_cpu else []
        try:
            yield
        except Interrupted:
            for buffer, before in kept:
                buffer.copy_(before)
            raise

    @property
    def _on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def _on_beat(self, check: InterruptCheck) -> None:
        """Called between the operations of a pass: show progress, and abandon the pass after a signal."""
        self.metrics.show_microbatches(self.microbatches.microbatches_per_rank)
        if check.pending and self._abandonable:
            raise Abandoned

    @property
    def steps_done(self) -> int:
        """Optimiser steps done, over all epochs."""
        return self.position.epoch * self.microbatches.steps + self.position.step

    def flush_metrics(self) -> StepStats:
        """Fetch the losses of the steps since the last call in one transfer, check and log them; on all ranks.

        Raises:
            TrainingError: a loss or gradient is not finite; names the first such step and its clips.
        """
        stats = self._fetch_stats()
        self.metrics.add_stats(stats)
        return stats

    def _fetch_stats(self) -> StepStats:
        if not self._pending:
            return StepStats([], [])
        names = list(self._pending[0].loss.parts)
        losses = self.context.dist_context.ordered_all_reduce(torch.stack([step.loss.total for step in self._pending]))
        norms = torch.stack([step.norm for step in self._pending])
        rows = [losses.to(norms.dtype), norms]
        if names:
            parts = [torch.stack([step.loss.parts[name] for name in names]) for step in self._pending]
            rows += self.context.dist_context.ordered_all_reduce(torch.stack(parts)).to(norms.dtype).unbind(1)
        total, norm, *values = torch.stack(rows).tolist()
        stats = StepStats(total, norm, dict(zip(names, values, strict=True)))
        for pending, loss, norm in zip(self._pending, stats.losses, stats.norms, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                clips = self.microbatches.clip_ids(pending.epoch, pending.step)
                raise _non_finite_error(pending.epoch, pending.step, loss, norm, clips)
        self._pending.clear()
        return stats

    def should_checkpoint(self) -> bool:
        """Return whether the epoch that has ended leaves a checkpoint."""
        done = self.position.epoch
        best = self.monitor is not None and self.metrics.state.improved(self.monitor)
        due = done % self.recipe.checkpoint_every == 0 or self.recipe.keeps(done)
        return best or due or done == self.recipe.schedule.epochs

    def monitored_value(self) -> float | None:
        """Return the monitored metric of the last finished epoch; None in the middle of an epoch."""
        if self.monitor is None or self.position.step or not self.metrics.state.history:
            return None
        return self.metrics.state.history[-1][self.monitor]

    def save(self) -> None:
        """Write a checkpoint of where the training is, in the background; called by all ranks."""
        self.flush_metrics()
        if self._writer is None:
            return
        state = capture_state(self.optimiser, self.position, self.metrics.state, self.hooks.state_dict())
        measure, epoch = self.monitored_value(), None if self.position.step else self.position.epoch
        self._writer.submit(
            Snapshot.take(self.steps_done, self.module, state, self.recipe, self.identity, measure, epoch)
        )

    def record(
        self, result: PretrainResult | EvaluationResult, encoder: str, origin: EncoderProvenance | None = None
    ) -> None:
        """Write the run's record: its presence says that the run is complete.

        Args:
            result: the outcome.
            encoder: what the encoder was at the start, in words.
            origin: where the encoder came from, if it was trained.
        """
        recipe, state, ranks = self.recipe, self.metrics.state, self.context.dist_context
        if not ranks.is_main:
            return
        device = describe_device(self.device)
        record = RunRecord(
            format_version=3,
            task=recipe.kind,
            recipe=recipe.name,
            dataset=recipe.dataset,
            protocol=recipe.protocol,
            subset=recipe.training_subset,
            recipe_hash=recipe.digest(),
            store_hash=self.identity.store_hash,
            manifest_hash=self.identity.manifest_hash,
            encoder=encoder,
            origin=origin,
            seed=recipe.seed,
            device=device if ranks.world_size == 1 else f"{ranks.world_size} × {device}",
            hardware=describe_hardware(ranks.world_size),
            versions=package_versions(),
            started=datetime.fromisoformat(state.started),
            finished=utc_now(),
            sessions=state.sessions,
            run_id=self.context.run_id,
            metrics=metrics_sha256(self.context.run_dir),
            result=result,
        )
        write_record(self.context.run_dir, record)

    def _begin_or_resume(self) -> TrainState:
        """Resume the run, or begin it: on all ranks from the checkpoint that the first rank sees."""
        context = self.context
        folder = self._latest_checkpoint() if context.resume and context.dist_context.is_main else None
        name = context.dist_context.broadcast_str(str(folder or ""))
        if name:
            self.position, state = restore_state(
                Path(name), self.recipe, self.identity, self.module, self.optimiser, self.hooks.load_state_dict
            )
            state.sessions += 1
            resume_torch_threads(state.threads if self._on_cpu else 0)
            state.threads = self._threads
            logger.info(f"resuming: {self.position.epoch} epochs and {self.position.step} steps of the next are done")
            return state
        if context.dist_context.is_main:
            init_run_dir(context.run_dir, self.recipe, context.resume)
        return TrainState(started=utc_now().isoformat(), threads=self._threads)

    @property
    def _threads(self) -> int:
        return torch.get_num_threads() if self._on_cpu else 0

    @contextmanager
    def _open_outputs(self, state: TrainState) -> Iterator[None]:
        """Open metrics and checkpoints for writing, and catch signals; at the end all is written."""
        context = self.context
        main = context.dist_context.is_main
        with ExitStack() as stack:
            write = discard_metrics
            if main:
                write = stack.enter_context(MetricsWriter(context.run_dir, state.lines, self.steps_done)).write
            self.metrics = self._metrics_logger(state, write)
            writer = stack.enter_context(CheckpointWriter(context.run_dir))
            self._writer = writer if main else None
            check_signals = stack.enter_context(interruptible(context.dist_context.all_reduce_max))
            stack.enter_context(heartbeat(lambda: self._on_beat(check_signals)))
            steps = context.profile_steps if main else 0
            profile_step = stack.enter_context(profile_steps(context.run_dir, steps))

            def check_interrupt() -> None:
                profile_step()
                check_signals()

            self.check_interrupt, self._check_signals = check_interrupt, check_signals
            yield
            writer.wait()

    def _save_interrupted(self, stop: Interrupted) -> None:
        self.save()
        if self._writer is not None:
            self._writer.wait()
        logger.warning(
            f"interrupted by {stop} after step {self.steps_done}; a checkpoint is written. "
            f"Continue with the same command and --resume (run: {self.context.run_dir})."
        )
        stop.user_informed = True

    def _latest_checkpoint(self) -> Path | None:
        if self._writer is not None:
            self._writer.wait()
        return latest_checkpoint(self.context.run_dir)

    def _metrics_logger(self, state: TrainState, write: WriteMetrics = discard_metrics) -> MetricsLogger:
        dtype = matmul_dtype(self.recipe.precision)
        meter = ThroughputMeter(self.device, self.flops_per_term, self.context.dist_context.world_size, dtype)
        return MetricsLogger(write, self.context.progress, state, meter)


class _PendingStep(NamedTuple):
    """A step whose loss and gradient norm are still on the device."""

    epoch: int
    step: int
    loss: Loss
    norm: Tensor


def _add(losses: list[Loss]) -> Loss:
    parts = {name: torch.stack([loss.parts[name] for loss in losses]).sum() for name in losses[0].parts}
    return Loss(torch.stack([loss.total for loss in losses]).sum(), parts)


def _non_finite_error(epoch: int, step: int, loss: float, norm: float, clips: list[str]) -> TrainingError:
    what = f"loss is {loss}" if not math.isfinite(loss) else f"loss is {loss:.6g}, its gradient's norm {norm}"
    return TrainingError(
        f"step {step + 1} of epoch {epoch + 1}: the {what}, not a finite number. The clips of the batch:\n"
        f"  {' '.join(clips)}",
        remedy="Check the store with `mampctl verify`, or lower schedule.lr. "
        "The checkpoints kept are from before this step, and sound.",
    )
