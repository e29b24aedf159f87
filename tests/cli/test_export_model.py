"""`mampctl export-model`: files that run, and no file where one would not."""

import json
import os
import re
import shutil
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


PAGE = (Path(__file__).parents[2] / "docs" / "using-models.md").read_text()
PREPARE, RUN_EXPORTED = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SMALL = ("model.width=16", "model.depth=1", "model.heads=2", "model.frames=16")
BLOCKED = """
import sys
for name in ("mampctl", "mamp_schemas", "mamp_pipeline", "mamp_trainer", "torch"):
    sys.modules[name] = None
"""
LAYOUT = """
name: Gestures
skeleton: coco_17
files: {format: npy, order: TVC}
axes: [-x, z, y]
labels: folder
classes: [sit down, wave]
names: 's(?P<subject>\\d+)'
protocols: [{name: xsub, column: subject, train: [1, 2]}]
"""


@pytest.mark.parametrize(("units", "bodies", "length"), [("millimetres", 1, 37), ("metres", 2, 9)])
def test_page__a_program_without_the_package_gives_the_logits_of_predict(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: str, bodies: int, length: int
) -> None:
    assert len(PREPARE.splitlines()) - PREPARE.count("\n\n") <= 15
    monkeypatch.chdir(tmp_path)
    Path("gestures.yaml").write_text(f"{LAYOUT}units: {units}\nbodies: {bodies}\n")
    scale = 1000 if units == "millimetres" else 1
    for label in ("sit down", "wave"):
        Path("recordings", label).mkdir(parents=True)
        for subject in (1, 2, 3):
            poses = np.random.default_rng([subject, len(label)]).normal(1, 0.3, size=(length, 17, 3))
            poses += np.linspace(0, 2, length)[:, None, None]
            np.save(Path("recordings", label, f"s{subject}.npy"), (scale * poses).astype(np.float32))
    chosen = (
        "dataset=custom",
        "protocol=xsub",
        "model.joints=17",
        "schedule.epochs=2",
        "schedule.warmup_epochs=0",
        *SMALL,
    )
    sets = [part for setting in chosen for part in ("--set", setting)]
    for command in (
        ("ingest", "custom", "--layout", "gestures.yaml", "--raw", "recordings", "--out", "g.zarr", "--workers", "0"),
        ("build-splits", "--protocol", "xsub", "--store", "g.zarr"),
        ("train", "linear", "--recipe", "nwucla-small", *sets, "--store", "g.zarr", "--out", "run", "--device", "cpu"),
        ("export-model", "run", "--layout", "gestures.yaml", "--out", "gestures.onnx"),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
    outcome = run("predict", "run", "recordings", "--layout", "gestures.yaml", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    predicted = {line["clip"]: {each["label"]: each["probability"] for each in line["predictions"]}
                 for line in map(json.loads, outcome.out.splitlines())}  # fmt: skip

    for label in ("sit down", "wave"):
        shutil.copy(Path("recordings", label, "s3.npy"), "wave.npy")
        code = f"{BLOCKED}{PREPARE}{RUN_EXPORTED}\nprint(json.dumps(logits[0].tolist()))"
        environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        )
        logits = np.array(json.loads(result.stdout))
        expected = np.array([predicted[f"{label}/s3"][number] for number in range(2)])
        # Logits are known up to a constant: their differences are those of the logarithms of the probabilities.
        assert abs((logits[1] - logits[0]) - np.log(expected[1] / expected[0])) < 1e-4


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
    assert "no such run or checkpoint" in outcome.err


def test_predict__of_a_pre_training_is_refused(run: Run, runs: Path) -> None:
    outcome = run("predict", runs / "encoder", runs)
    assert outcome.code == 1
    assert "a pre-training, which has no classifier" in outcome.err
