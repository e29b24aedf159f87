import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mamp_schemas.progress import NullProgress
from mamp_trainer.protocols.metrics import top_k_hits
from mamp_trainer.telemetry.meter import ThroughputMeter
from mamp_trainer.telemetry.writers import MetricsWriter
from mamp_trainer.training.state import MetricsLogger, RunningMean, StepStats, TrainState
from tests.trainer.runs import read_metrics


def throughput_meter() -> ThroughputMeter:
    return ThroughputMeter(torch.device("cpu"), flops=1000)


def write_metrics(run: Path) -> TrainState:
    run.mkdir(exist_ok=True)
    state = TrainState()
    with MetricsWriter(run, 0, 0) as files:
        metrics = MetricsLogger(files.write, NullProgress(), state, throughput_meter())
        metrics.add_step(8, 16)
        metrics.add_step(8, 16)
        metrics.add_stats(StepStats([1.0, 3.0], [0.5, 1.5]))
        metrics.log_steps(1, 2, 0.25)
        metrics.add_stats(StepStats([5.0], [2.0]))
        metrics.log_epoch(1, 3, {"test_top1": 50.0})
    return state


def test_metrics_logger__a_line_for_steps_and_one_for_the_epoch(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    assert read_metrics(tmp_path) == [
        {"event": "train", "epoch": 1, "step": 2, "loss": 2.0, "lr": 0.25, "gradient_norm": 1.0},
        {"event": "epoch", "epoch": 1, "step": 3, "loss": 3.0, "test_top1": 50.0},
    ]


def test_metrics_logger__the_same_in_tensorboard(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("epoch/test_top1")] == [(3, 50.0)]
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(2, 2.0)]


def test_metrics_logger__history_keeps_each_epoch(tmp_path: Path) -> None:
    assert write_metrics(tmp_path).history == [{"loss": 3.0, "test_top1": 50.0}]


def test_metrics_logger__resume_cuts_off_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    with MetricsWriter(tmp_path, 1, 2) as files:
        metrics = MetricsLogger(files.write, NullProgress(), TrainState(lines=1), throughput_meter())
        metrics.add_stats(StepStats([7.0], [1.0]))
        metrics.log_steps(1, 3, 0.5)
    assert [(line["step"], line["loss"]) for line in read_metrics(tmp_path)] == [(2, 2.0), (3, 7.0)]


def test_metrics_logger__every_line_is_strict_json(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        assert math.isfinite(json.loads(line, parse_constant=pytest.fail)["loss"])


def test_train_state__survives_a_checkpoint() -> None:
    state = TrainState(3, RunningMean(1.5, 2), RunningMean(4.5, 6), RunningMean(0.5, 1), [{"loss": 0.5}], 12.5)
    assert TrainState.from_state_dict(state.state_dict()) == state


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(0, 20))
def test_running_mean__adding_in_parts_changes_nothing(values: list[float], cut: int) -> None:
    whole, parts = RunningMean(), RunningMean()
    whole.add(values)
    parts.add(values[:cut])
    parts.add(values[cut:])
    assert whole == parts


def test_top_hits__counts_labels_among_the_highest() -> None:
    logits = torch.tensor([[0.1, 0.9, 0.5], [0.8, 0.1, 0.7], [0.3, 0.2, 0.1]])
    assert top_k_hits(logits, torch.tensor([1, 2, 2]), ks=(1, 2, 3)).tolist() == [1, 2, 3]


def test_top_hits__fewer_classes_than_k() -> None:
    assert top_k_hits(torch.tensor([[0.1, 0.9]]), torch.tensor([0])).tolist() == [0, 1]
