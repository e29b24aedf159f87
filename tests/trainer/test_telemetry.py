import json
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.objectives.pretrain import make_objective, pretrain
from mamp_trainer.protocols.linear import LINEAR
from mamp_trainer.protocols.networks import make_classifier
from mamp_trainer.telemetry import meter as meter_module
from mamp_trainer.telemetry.flops import decoder_flops, encoder_flops
from mamp_trainer.telemetry.meter import ThroughputMeter, device_peak_flops, peak_memory
from mamp_trainer.training.runtime import RunContext
from tests.trainer.rank_threads import StopAfter
from tests.trainer.runs import evaluate_encoder, linear_recipe, pretrain_recipe, write_toy_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


def test_flops__of_a_sequence_are_those_of_the_paper_s_network() -> None:
    recipe = pretrain_recipe(model=ModelSpec())
    forward = encoder_flops(recipe.model, 74) + decoder_flops(recipe.model, 74)
    assert forward == pytest.approx(9.8e9, rel=0.01)
    assert make_objective(recipe).flops() == 3 * forward


@pytest.mark.parametrize("batch", [1, 3])
def test_flops__equal_what_torch_counts(batch: int) -> None:
    recipe = pretrain_recipe()
    model = MAMP(recipe.model, recipe.masking)
    x = torch.randn(batch, recipe.model.frames, recipe.model.joints, 3)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(x, torch.rand(batch, recipe.model.tokens))
    kept = int(recipe.model.tokens * (1 - recipe.masking.ratio))
    assert counter.get_total_flops() == batch * (encoder_flops(recipe.model, kept) + decoder_flops(recipe.model, kept))


def test_flops__of_linear_evaluation_equal_what_torch_counts_but_for_the_head() -> None:
    recipe = linear_recipe()
    model = make_classifier(recipe, 60, None)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.encoder(torch.randn(2, recipe.model.frames, recipe.model.joints, 3))
    assert counter.get_total_flops() == LINEAR.flops(recipe, slots=2)


def test_throughput_meter__separates_waiting_from_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, *(10.0, 12.0, 15.0), 16.0, *(20.0, 21.0, 27.0), 28.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    meter = ThroughputMeter(CPU, flops=10**9)
    for _ in range(2):
        assert list(meter.timed_microbatches(iter("a"))) == ["a"]
        meter.add_step(4, 8)
    metrics = meter.read(with_peak=True)
    assert metrics["data_s"] == pytest.approx((2 + 1) / 2)
    assert metrics["step_s"] == pytest.approx((2 + 3 + 1 + 1 + 6 + 1) / 2)
    assert metrics["tflops"] == pytest.approx(metrics["clips_per_s"] * 2 * 1e-3)
    assert metrics["memory_gb"] == pytest.approx(peak_memory(CPU) / 1e9, rel=0.5)
    assert "peak_share" not in metrics


def test_throughput_meter__measures_the_peak_once_and_only_in_long_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[torch.device] = []

    def peak(device: torch.device, _dtype: torch.dtype) -> float:
        measured.append(device)
        return 2e12

    monkeypatch.setattr(meter_module, "device_peak_flops", peak)
    monkeypatch.setattr(meter_module, "PEAK_AFTER", -1.0)
    meter = ThroughputMeter(CPU, flops=10**9, world_size=4)
    for _ in range(2):
        meter.add_step(4, 8)
        metrics = meter.read(with_peak=True)
        assert metrics["peak_share"] == pytest.approx(metrics["tflops"] * 1e12 / (4 * 2e12))
    assert measured == [CPU]


def test_device_peak_flops__is_a_rate() -> None:
    assert 1e8 < device_peak_flops(CPU) < 1e14


def test_pretrain__metrics_hold_the_cost_of_training(store: Path, tmp_path: Path) -> None:
    pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    train = next(line for line in lines if line["event"] == "train")
    names = {"loss", "lr", "gradient_norm", "clips_per_s", "step_s", "data_s", "memory_gb", "tflops"}
    assert train.keys() == {"event", "epoch", "step"} | names
    assert all(train[name] > 0 for name in names)
    assert train["data_s"] < train["step_s"]


def test_pretrain__profile_is_a_trace_of_the_steps_asked_for(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    progress = StopAfter(7, 15)
    with pytest.raises(KeyboardInterrupt):
        pretrain(pretrain_recipe(), store, RunContext(run, device="cpu", progress=progress, profile_steps=3))
    trace = json.loads((run / "profile.json").read_text())
    steps = {event["name"] for event in trace["traceEvents"] if event["name"].startswith("ProfilerStep")}
    assert steps == {"ProfilerStep#2", "ProfilerStep#3", "ProfilerStep#4"}
    assert any(str(run / "profile.json") in message for message in caplog.messages)


def test_linear__the_best_epoch_s_checkpoint_is_kept(store: Path, tmp_path: Path) -> None:
    recipe = linear_recipe(schedule=linear_recipe().schedule.replaced(epochs=6), checkpoint_every=1)
    result = evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    metas = [json.loads(path.read_text()) for path in sorted((tmp_path / "run" / "checkpoints").glob("*/meta.json"))]
    best = [meta["step"] for meta in metas if meta["measure"] == result.best_top1]
    assert best[0] == 6 * result.best_epoch
