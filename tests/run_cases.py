"""Runs to report on: made-up metrics, confusions, features and predictions, with names that look like markup."""

from typing import Any

import numpy as np

from mamp_pipeline.report.curves import MetricLines
from mamp_pipeline.report.runs_page import RunReport
from mamp_schemas.models.analysis import (
    ArrayData,
    ConfusionAnalysis,
    FeatureAnalysis,
    MaskedReconstruction,
    ReconstructionAnalysis,
    RunAnalysis,
)
from mamp_schemas.models.results import ConfusedPair
from mamp_schemas.models.skeleton import KINECT_V2

MARKUP = "<script>alert(1)</script><b>wave"
NAMES = (MARKUP, "sit down", "walk")
ABSENT = "jump up"
"""A class without test clips."""
RECIPE = {"name": "tiny", "dataset": "ntu60", "protocol": "xsub"}


def make_lines(epochs: int, measured: bool, start: float = 1.0) -> tuple[MetricLines, MetricLines]:
    """Return lines of metrics of epochs of 20 steps, two lines of steps each."""
    steps: list[dict[str, float]] = []
    ends: list[dict[str, float]] = []
    for epoch in range(1, epochs + 1):
        for step in (20 * epoch - 10, 20 * epoch):
            metrics = {"loss": start + 1 / step, "lr": 0.1 / epoch, "clips_per_s": 100.0 + step % 3, "memory_gb": 0.5}
            steps.append({"epoch": epoch, "step": step, "step_s": 0.2, **metrics})
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


def make_analysis(names: tuple[str, ...] = NAMES, **parts: Any) -> RunAnalysis:
    return RunAnalysis(
        checkpoint="step-00000080",
        weights="a" * 64,
        store_hash="b" * 64,
        manifest_hash="c" * 64,
        class_titles=names,
        **parts,
    )


def make_confusion(classes: int = len(NAMES), clips: int = 40, absent: int = 0) -> ConfusionAnalysis:
    """Return a confusion: the first class is often taken for the last, and `absent` classes without clips follow."""
    matrix = np.random.default_rng(0).multinomial(clips // 10, np.full(classes, 1 / classes), classes)
    matrix += np.diag(np.full(classes, clips))
    matrix[0, -1] += clips // 2
    shares = 100 * matrix / matrix.sum(axis=1, keepdims=True)
    pairs = [
        ConfusedPair(label=label, taken_for=taken, clips=int(matrix[label, taken]), share=float(shares[label, taken]))
        for label, taken in np.argwhere(matrix).tolist()
        if label != taken
    ]
    return ConfusionAnalysis(
        source="scores",
        clips=int(matrix.sum()),
        matrix=ArrayData.of(np.pad(matrix, (0, absent))),
        accuracy=(*np.diagonal(shares).tolist(), *[None] * absent),
        pairs=tuple(sorted(pairs, key=lambda pair: -pair.share)[:500]),
        num_pairs=len(pairs),
    )


def make_features(classes: int = len(NAMES), clips: int = 60) -> FeatureAnalysis:
    """Return features of clips whose classes lie apart."""
    rng = np.random.default_rng(1)
    label = np.arange(clips) % classes
    values = rng.normal(size=(clips, 8)) + 4 * rng.normal(size=(classes, 8))[label]
    return FeatureAnalysis(
        clips=tuple(f"{MARKUP}{number}" for number in range(clips)),
        labels=tuple(label.tolist()),
        features=ArrayData.of(values),
        total=clips,
    )


def make_reconstruction(target: str = "motion", examples: int = 2, frames: int = 32) -> ReconstructionAnalysis:
    """Return predictions of a body that sways, a little off."""
    rng = np.random.default_rng(2)
    pose = rng.normal(size=(25, 3)) * 0.4 + (0, 0, 3)
    time = np.arange(frames)[:, None, None]
    joints = (pose + 0.1 * np.sin(time / 5 + np.arange(25)[None, :, None])).astype(np.float32)
    truth = joints if target == "joint" else np.diff(joints, axis=0, append=joints[-1:])
    predicted = truth + rng.normal(scale=0.002, size=truth.shape)
    masked = rng.random((frames // 4, 25)) < 0.9
    arrays = {"joints": joints, "truth": truth, "predicted": predicted, "masked": masked}
    return ReconstructionAnalysis(
        target=target,
        normalised=True,
        masking="motion, ratio 0.9, τ 0.8",
        skeleton=KINECT_V2,
        examples=tuple(
            MaskedReconstruction(
                clip=f"{MARKUP}{number}",
                label=0,
                body=0,
                loss=0.42,
                **{name: ArrayData.of(values) for name, values in arrays.items()},
            )
            for number in range(examples)
        ),
    )


def make_runs() -> list[RunReport]:
    """Return a pre-training, two evaluations one of which lacks parts, and a run that has only begun."""
    pretrained = make_analysis(features=make_features(), reconstruction=make_reconstruction())
    measured = make_analysis((*NAMES, ABSENT), confusion=make_confusion(absent=1), features=make_features())
    broken = make_analysis(unavailable={"confusion": "scores.npz cannot be read.", "features": "no store"})
    return [
        make_run("mamp", "pretrain", analysis=pretrained),
        make_run(MARKUP, "linear", analysis=measured),
        make_run("finetune", "finetune", analysis=broken),
        make_run("begun", "pretrain", 0, state="incomplete", unavailable="no checkpoint yet"),
    ]
