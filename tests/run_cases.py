"""Runs to report on: made-up metrics, confusions, features and predictions, with names that look like markup."""

from typing import Any

import numpy as np

from mamp_pipeline.report.curves import MetricLines
from mamp_pipeline.report.runs_page import (
    ClipFeatures,
    ConfusedPair,
    ConfusionReport,
    MaskedReconstruction,
    ReconstructionReport,
    RunReport,
)
from mamp_schemas.models.skeleton import KINECT_V2

MARKUP = "<script>alert(1)</script><b>wave"
NAMES = (MARKUP, "sit down", "walk")
RECIPE = {"name": "tiny", "dataset": "ntu60", "protocol": "xsub"}


def make_lines(epochs: int, measured: bool, start: float = 1.0) -> tuple[MetricLines, MetricLines]:
    """Return lines of metrics of epochs of 20 steps, two lines of steps each."""
    steps: list[dict[str, float]] = []
    ends: list[dict[str, float]] = []
    for epoch in range(1, epochs + 1):
        for step in (20 * epoch - 10, 20 * epoch):
            facts = {"loss": start + 1 / step, "lr": 0.1 / epoch, "clips_per_s": 100.0 + step % 3, "memory_gb": 0.5}
            steps.append({"epoch": epoch, "step": step, "step_s": 0.2, **facts})
        top = {"test_top1": 50.0 + epoch, "test_top5": 90.0 + epoch / 10} if measured else {}
        ends.append({"epoch": epoch, "step": 20 * epoch, "loss": start + 1 / epoch, "seconds": 5.0 * epoch, **top})
    return steps, ends


def make_run(name: str, kind: str, epochs: int = 4, **parts: Any) -> RunReport:
    train, ends = make_lines(epochs, kind != "pretrain")
    given: dict[str, Any] = {
        "state": "complete",
        "differs": (f"seed {len(name)}",),
        "outcome": {"epochs": epochs, "seconds": 5.0 * epochs},
        "train": train,
        "epochs": ends,
    }
    return RunReport(name=name, path=f"runs/{name}", settings={"kind": kind, **RECIPE}, **{**given, **parts})


def make_confusion(names: tuple[str, ...] = NAMES, clips: int = 40) -> ConfusionReport:
    """Return a confusion in which the first class is often taken for the last."""
    classes = len(names)
    matrix = np.random.default_rng(0).multinomial(clips // 10, np.full(classes, 1 / classes), classes)
    matrix += np.diag(np.full(classes, clips))
    matrix[0, -1] += clips // 2
    shares = 100 * matrix / matrix.sum(axis=1, keepdims=True)
    found = [
        ConfusedPair(label, taken, int(matrix[label, taken]), float(shares[label, taken]))
        for label, taken in np.argwhere(matrix).tolist()
        if label != taken
    ]
    pairs = sorted(found, key=lambda pair: -pair.share)
    return ConfusionReport(
        "scores.npz: the last epoch, 464 test clips.", names, matrix, np.diagonal(shares).copy(), pairs
    )


def make_features(names: tuple[str, ...] = NAMES, clips: int = 60) -> ClipFeatures:
    """Return features of clips whose classes lie apart."""
    rng = np.random.default_rng(1)
    label = np.arange(clips) % len(names)
    values = rng.normal(size=(clips, 8)) + 4 * rng.normal(size=(len(names), 8))[label]
    ids = [f"{MARKUP}{number}" for number in range(clips)]
    return ClipFeatures("The encoder's mean features of test clips.", names, ids, label, values.astype(np.float32))


def make_predictions(target: str = "motion", examples: int = 2, frames: int = 32) -> ReconstructionReport:
    """Return predictions of a body that sways, a little off."""
    rng = np.random.default_rng(2)
    pose = rng.normal(size=(25, 3)) * 0.4 + (0, 0, 3)
    time = np.arange(frames)[:, None, None]
    joints = (pose + 0.1 * np.sin(time / 5 + np.arange(25)[None, :, None])).astype(np.float32)
    truth = joints if target == "joint" else np.diff(joints, axis=0, append=joints[-1:])
    predicted = (truth + rng.normal(scale=0.002, size=truth.shape)).astype(np.float32)
    hidden = rng.random((frames // 4, 25)) < 0.9
    made = [
        MaskedReconstruction(f"{MARKUP}{number}", NAMES[0], 1, joints, truth, predicted, hidden, 0.42)
        for number in range(examples)
    ]
    return ReconstructionReport("Test clips, masked at ratio 0.9.", target, True, KINECT_V2, made)


def make_runs() -> list[RunReport]:
    """Return a pre-training, two evaluations one of which lacks scores, and a run that has only begun."""
    return [
        make_run("mamp", "pretrain", features=make_features(), predictions=make_predictions()),
        make_run(MARKUP, "linear", confusion=make_confusion(), features=make_features()),
        make_run("finetune", "finetune", confusion="No scores: mampctl evaluate makes them.", features="no store"),
        make_run("begun", "pretrain", 0, state="incomplete", features="no store", predictions="no checkpoint yet"),
    ]
