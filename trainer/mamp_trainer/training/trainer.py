"""The training loop, from the optimiser step to the run as a whole; epochs, measurements, checkpoints."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mamp_schemas.errors import Interrupted, TrainingError
from mamp_schemas.io.run_files import latest_checkpoint
from mamp_schemas.models.recipe import Recipe, ScheduleSpec
from mamp_schemas.models.results import EncoderProvenance, EvaluationResult, PretrainResult, RunRecord
from mamp_schemas.progress import Progress
from mamp_schemas.signals import interruptible
from mamp_trainer.checkpoints.files import RunIdentity, Snapshot
from mamp_trainer.checkpoints.manager import CheckpointWriter
from mamp_trainer.data.collate import Batch
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.precision import matmul_dtype
from mamp_trainer.telemetry.meter import ThroughputMeter
from mamp_trainer.telemetry.profiler import profile_steps
from mamp_trainer.telemetry.writers import MetricsWriter, discard_metrics
from mamp_trainer.training.microbatch import FlatGradients, Microbatch, MicrobatchSampler
from mamp_trainer.training.optim import LR_SCALE, learning_rate
from mamp_trainer.training.run_dir import describe_hardware, init_run_dir, package_versions, utc_now, write_record
from mamp_trainer.training.state import MetricsLogger, Position, StepStats, TrainState, capture_state, restore_state

logger = logging.getLogger(__name__)


LossFn = Callable[[Batch, int], Tensor]
"""The mean loss, a scalar tensor, of a batch in an epoch."""


class TrainStep:
    """An optimiser step that never waits for the device.

    Args:
        loss_fn: the loss to go down.
        optimiser: over the parameters that the objective depends on.
        dist_context: who takes the step together.
    """

    def __init__(self, loss_fn: LossFn, optimiser: Optimizer, dist_context: DistContext = SINGLE_PROCESS) -> None:
        self.loss_fn = loss_fn
        self.optimiser = optimiser
        self.dist_context = dist_context
        self._gradients = FlatGradients([each for group in optimiser.param_groups for each in group["params"]])
        self._pending: list[tuple[int, int, Tensor, Tensor]] = []

    def __call__(self, microbatches: Iterable[Microbatch], epoch: int, step: int, lr: float) -> None:
        """Take one step.

        Args:
            microbatches: this rank's clips, at least one part.
            epoch: 0-based.
            step: 0-based, within the epoch.
            lr: of this step; parameter groups may scale it.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group.get(LR_SCALE, 1.0)
        self._gradients.zero()
        losses = [self._forward_backward(part, epoch) for part in microbatches]
        self._gradients.all_reduce(self.dist_context)
        self.optimiser.step()
        self._pending.append((epoch, step, torch.stack(losses).sum(), self._gradients.norm()))

    def flush_metrics(self, clip_ids: Callable[[int, int], list[str]]) -> StepStats:
        """Fetch what steps left since the last call, in one transfer, and check it; called by all ranks.

        Args:
            clip_ids: returns the ids of the clips of a step, by epoch and step within it.

        Raises:
            TrainingError: a loss or gradient is not finite; names the first such step and its clips.
        """
        if not self._pending:
            return StepStats([], [])
        losses = self.dist_context.ordered_all_reduce(torch.stack([loss for _, _, loss, _ in self._pending]))
        norms = torch.stack([norm for _, _, _, norm in self._pending])
        taken = StepStats(*torch.stack((losses.to(norms.dtype), norms)).tolist())
        for (epoch, step, _, _), loss, norm in zip(self._pending, *taken, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise _non_finite_error(epoch, step, loss, norm, clip_ids(epoch, step))
        self._pending.clear()
        return taken

    def _forward_backward(self, microbatch: Microbatch, epoch: int) -> Tensor:
        """Add a part's gradients to the others, and return its part of the loss."""
        loss = self.loss_fn(microbatch.batch, epoch) * microbatch.weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def _non_finite_error(epoch: int, step: int, loss: float, norm: float, clips: list[str]) -> TrainingError:
    what = f"loss is {loss}" if not math.isfinite(loss) else f"loss is {loss:.6g}, its gradient's norm {norm}"
    return TrainingError(
        f"step {step + 1} of epoch {epoch + 1}: the {what}, not a finite number. The clips of the batch:\n"
        f"  {' '.join(clips)}",
        remedy="Check the store with `mampctl verify`, or lower schedule.lr. "
        "The checkpoints kept are from before this step, and sound.",
    )


LOG_EVERY = 10
"""Steps between two lines of metrics; each waits once for the device."""


@dataclass
class TrainingLoop:
    """A training under way.

    Attributes:
        step: takes an optimiser step.
        microbatches: what it is taken on.
        schedule: learning rate and number of epochs.
        checkpoint_every: epochs between checkpoints.
        monitor: which measure makes the best epoch, whose checkpoint is kept; None for none.
        metrics: where losses go.
        evaluate: called at the end of an epoch; what it returns goes into the epoch's metrics.
        save: writes a checkpoint of `position`.
        check_interrupt: called between steps; raises KeyboardInterrupt when the run is to stop.
        position: where it has come to.
    """

    step: TrainStep
    microbatches: MicrobatchSampler
    schedule: ScheduleSpec
    checkpoint_every: int
    monitor: str | None
    metrics: MetricsLogger
    evaluate: Callable[[], Mapping[str, float]]
    save: Callable[[], None]
    check_interrupt: Callable[[], None]
    position: Position

    @property
    def steps_done(self) -> int:
        """Optimiser steps done, over all epochs."""
        return self.position.epoch * self.microbatches.steps + self.position.step

    def flush_metrics(self) -> None:
        """Check the losses of the steps done, and tell the metrics; called by all ranks."""
        self.metrics.add_stats(self.step.flush_metrics(self.microbatches.clip_ids))

    def should_checkpoint(self) -> bool:
        """Return whether the epoch that has ended leaves a checkpoint."""
        done = self.position.epoch
        best = self.monitor is not None and self.metrics.state.improved(self.monitor)
        return best or done % self.checkpoint_every == 0 or done == self.schedule.epochs

    def monitored_value(self) -> float | None:
        """Return what the epoch was judged by that has ended just now; None in the middle of one."""
        if self.monitor is None or self.position.step or not self.metrics.state.history:
            return None
        return self.metrics.state.history[-1][self.monitor]


def train_epochs(training: TrainingLoop) -> None:
    """Go on from the training's position to the end of its schedule."""
    while training.position.epoch < training.schedule.epochs:
        train_epoch(training)
        measured = training.evaluate()
        done = training.position.epoch + 1
        training.flush_metrics()
        training.metrics.log_epoch(done, training.steps_done, measured)
        training.position = Position(done)
        if training.should_checkpoint():
            training.save()


def train_epoch(training: TrainingLoop) -> None:
    """Take the steps that are left of the current epoch."""
    shares, metrics = training.microbatches, training.metrics
    epoch, first = training.position
    for step in range(first, shares.steps):
        lr = learning_rate(training.steps_done, shares.steps, training.schedule)
        training.step(metrics.meter.timed_microbatches(shares.microbatches(epoch, step)), epoch, step, lr)
        training.position = Position(epoch, step + 1)
        metrics.add_step(shares.batch_size, shares.num_loss_terms(epoch, step))
        if training.steps_done % LOG_EVERY == 0:
            training.flush_metrics()
            metrics.log_steps(epoch + 1, training.steps_done, lr)
        training.check_interrupt()


InterruptCheck = Callable[[], None]


@dataclass(frozen=True)
class Trainer:
    """One sitting of a run, as one of its ranks sees it. The first rank writes and tells, for all of them.

    Attributes:
        run: its folder.
        recipe: what is trained.
        identity: what its checkpoints belong to.
        device: the one that this rank trains on.
        progress: who watches.
        dist_context: who trains together.
        profile_steps: steps to be profiled.
        flops_per_term: floating-point operations that a term of the loss takes.
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
            microbatches: what they are taken on.
            evaluate: called at the end of an epoch, with what it may call where it can be interrupted.
            resume: whether to go on from the run's latest checkpoint.
            monitor: which measure makes the best epoch, whose checkpoint is kept.

        Raises:
            Interrupted: SIGINT or SIGTERM came; a checkpoint has been written.
        """
        position, tally = self._begin_or_resume(module, step, resume)
        done = position.epoch * microbatches.steps + position.step
        self.progress.start(self.recipe.kind, self.recipe.schedule.epochs * microbatches.steps, "steps", done)
        with (
            self._metrics(tally, done) as metrics,
            CheckpointWriter(self.run) as writer,
            self._interrupt_checks() as pause,
        ):
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
            state: what training has left.
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
            subset=recipe.training_subset,
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
            logger.info(f"going on after epoch {position.epoch}, step {position.step} of the next")
            return position, tally
        if self.dist_context.is_main:
            init_run_dir(self.run, self.recipe, resume)
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
        with interruptible(self.dist_context.all_reduce_max) as pause, profile_steps(self.run, steps) as profile_step:

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
            logger.warning(
                f"interrupted by {stop} after step {training.steps_done}; a checkpoint is written. "
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
