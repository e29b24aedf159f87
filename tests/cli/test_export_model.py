"""`mampctl export-model`: files that run, and no file where one would not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.cli.conftest import Run
from tests.trainer.runs import evaluate_encoder, linear_recipe, pretrain_recipe, write_toy_store


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pre-training, `encoder`, and a classifier, `classifier`."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs")
    store = write_toy_store(folder)
    pretrain(pretrain_recipe(), store, RunContext(folder / "encoder", device="cpu"))
    evaluate_encoder(linear_recipe(), store, folder / "classifier", device="cpu")
    return folder


def test_export_model__onnxruntime_reports_nothing_and_leaves_nothing_at_home(tmp_path: Path) -> None:
    """Where it would: it keeps quiet by itself in what looks like a test."""
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "import mamp_trainer.export.onnx_export"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, cwd=tmp_path)
    assert not list(tmp_path.rglob("*.db")), "onnxruntime's store of events"
    assert not (tmp_path / ".cache" / "Microsoft").exists()


def test_export_model__onnx_of_a_classifier(run: Run, runs: Path, tmp_path: Path) -> None:
    outcome = run("export-model", runs / "classifier", "--out", tmp_path / "m.onnx", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["outputs"] == ["logits", "features"]
    assert result["difference"] < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    logits, features = session.run(None, {"clips": np.zeros((3, 2, 16, 25, 3), np.float32)})
    assert (logits.shape, features.shape) == ((3, 60), (3, 16))
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"])[42] == "falling"


def test_export_model__torch_export_of_an_encoder(run: Run, runs: Path, tmp_path: Path) -> None:
    outcome = run("export-model", runs / "encoder", "--out", tmp_path / "m.pt2")
    assert outcome.code == 0, outcome.err
    assert "outputs features" in outcome.out
    assert "float32 (N, 2, 16, 25, 3)" in outcome.out
    (features,) = torch.export.load(tmp_path / "m.pt2").module()(torch.zeros(3, 2, 16, 25, 3))
    assert features.shape == (3, 16)


def test_export_model__what_differs_is_not_written(
    run: Run, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamp_trainer.export.network.TOLERANCE", -1.0)
    outcome = run("export-model", runs / "classifier", "--out", tmp_path / "m.pt2")
    assert outcome.code == 1
    assert "would not give the numbers of the model" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_export_model__unknown_format(run: Run, runs: Path, tmp_path: Path) -> None:
    outcome = run("export-model", runs / "classifier", "--out", tmp_path / "m.tflite")
    assert outcome.code == 2
    assert "FILE.onnx or FILE.pt2" in outcome.err


def test_export_model__a_missing_extra_is_named(
    run: Run, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "mamp_trainer.export.onnx_export", raising=False)
    outcome = run("export-model", runs / "classifier", "--out", tmp_path / "m.onnx")
    assert outcome.code == 1
    assert "pip install 'mampctl[export]'" in outcome.err


def test_export_model__nothing_there(run: Run, tmp_path: Path) -> None:
    outcome = run("export-model", tmp_path / "nowhere", "--out", tmp_path / "m.pt2")
    assert outcome.code == 1
    assert "there is no checkpoint" in outcome.err


def test_predict__of_a_pre_training_is_refused(run: Run, runs: Path) -> None:
    outcome = run("predict", runs / "encoder", runs)
    assert outcome.code == 1
    assert "a pre-training, which has no classifier" in outcome.err
