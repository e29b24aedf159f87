"""Collects the data that the report page of runs shows, computing what no run has stored."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

from mamp_schemas.errors import MampctlError, UsageError
from mamp_schemas.io.storage_path import StoragePath, parse_storage_path
from mamp_schemas.progress import Progress
from mampctl.defaults import default_store
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_pipeline.report.runs_page import RunReport
    from mamp_schemas.io.run_files import Run
if TYPE_CHECKING:
    from mamp_pipeline.report.runs_page import ClipFeatures, ConfusionReport, ReconstructionReport, RunReport
    from mamp_schemas.models.store import StoreMetadata
    from mamp_trainer.protocols.predictions import ClipPredictions

logger = logging.getLogger(__name__)


_TITLE_FIELDS = frozenset({"name", "summary"})
"""Fields of a recipe that are titles: what differs in them only is no difference."""


def read_runs(folders: Sequence[Path]) -> "list[RunReport]":
    """Read the records, recipes and metrics of runs.

    Raises:
        RecordError: a recipe, or metrics, cannot be read.
        ConfigError: a recipe is not YAML.
    """
    from mamp_pipeline.report.curves import shortest_unique_paths
    from mamp_pipeline.report.runs_page import RunReport
    from mamp_schemas.io.run_files import read_curve, read_recipe_data, read_run
    from mamp_trainer.runs.index import summarise_run

    runs = [read_run(folder) for folder in folders]
    settings = [read_recipe_data(folder) for folder in folders]
    names = shortest_unique_paths([folder.resolve().parts for folder in folders])
    read = []
    for run, own, name, differs in zip(runs, settings, names, _differences_by_run(runs, settings), strict=True):
        course, line = read_curve(run.folder), summarise_run(run)
        read.append(
            RunReport(
                name=name,
                path=str(run.folder),
                state=run.state,
                settings=own,
                differs=differs,
                outcome={
                    "epochs": line.epochs,
                    "last_loss": course.epochs[-1].get("loss") if course.epochs else None,
                    "last_top1": line.last_top1,
                    "best_top1": line.best_top1,
                    "seconds": line.seconds,
                },
                device=run.record.device if run.record else "",
                train=course.train,
                epochs=course.epochs,
                notes=[problem] if (problem := run.problem or line.problem) else [],
            )
        )
    return read


def _differences_by_run(runs: "Sequence[Run]", settings: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return what tells each run from the others of its task: `key value`, of its recipe and its encoder."""
    from mamp_schemas.models.differences import find_differences, flatten, show_value

    tasks = defaultdict(list)
    for place, own in enumerate(settings):
        tasks[own.get("kind")].append(place)
    told: list[list[str]] = [[] for _ in runs]
    for task, places in tasks.items():
        sides = [
            {key: value for key, value in flatten(settings[at]).items() if key not in _TITLE_FIELDS} for at in places
        ]
        for side, at in zip(sides, places, strict=True):
            if task != "pretrain":
                record = runs[at].record
                side["encoder"] = record.encoder if record else "not recorded yet"
        for difference in find_differences(sides):
            for at, value in zip(places, difference.values, strict=True):
                told[at].append(f"{difference.key} {show_value(value)}")
    return told


FEATURE_CLIPS = 1_000
"""Test clips whose features are computed and projected: all of a small dataset, seconds of a large one."""
RECONSTRUCTED_CLIPS = 6
"""Test clips of which hidden tokens are predicted."""

T = TypeVar("T")


@dataclass(frozen=True)
class RunAnalyser:
    """What parts of a report are made with.

    Attributes:
        store: the store that the user named, None for each run's dataset's own.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.
    """

    store: StoragePath | None
    device: str
    progress: Progress

    @classmethod
    def create(cls, store: str | None, device: str, progress: Progress) -> "RunAnalyser":
        """Return a workshop, having seen that the store that the user named is one.

        Raises:
            StoreError: it is not.
        """
        place = parse_storage_path(store) if store else None
        if place is not None:
            _store_metadata(place)
        return cls(place, device, progress)

    def analyse(self, run: "RunReport") -> "RunReport":
        """Return a run with its parts, or with the reasons why they are missing."""
        pretrained = run.settings.get("kind") == "pretrain"
        return replace(
            run,
            confusion="" if pretrained else self._or_unavailable(lambda: self._confusion(run)),
            features=self._or_unavailable(lambda: self._features(run)),
            predictions=self._or_unavailable(lambda: self._predictions(run)) if pretrained else "",
        )

    def _or_unavailable(self, make: Callable[[], T]) -> T | str:
        try:
            with needed_extras():
                return make()
        except MampctlError as problem:
            return " ".join(filter(None, (f"Not shown: {problem.message}.", problem.remedy)))

    def _confusion(self, run: "RunReport") -> "ConfusionReport":
        from mamp_pipeline.report.runs_page import ConfusedPair, ConfusionReport
        from mamp_trainer.analysis.run_analysis import confusion_report, read_predictions

        scores, source = read_predictions(Path(run.path)), "scores.npz, of the last epoch"
        if scores is None:
            scores, source = self._compute_scores(run), "the latest checkpoint: the run has left no scores.npz"
        found = confusion_report(scores)
        return ConfusionReport(
            source=f"{len(scores.clip):,} test clips. Scores are those of {source}.",
            names=self._class_titles(run, len(found.matrix)),
            matrix=found.matrix,
            accuracy=found.accuracy,
            pairs=[ConfusedPair(*pair) for pair in found.pairs],
        )

    def _compute_scores(self, run: "RunReport") -> "ClipPredictions":
        from mamp_trainer.analysis.run_analysis import compute_predictions

        try:
            return compute_predictions(Path(run.path), self._store(run), self.device, self.progress)
        except UsageError as problem:
            remedy = f"{problem.remedy} Scores of their own: mampctl evaluate {quote(run.path)} --store STORE"
            raise UsageError(f"there is no scores.npz, and {problem.message}", remedy=remedy) from None

    def _features(self, run: "RunReport") -> "ClipFeatures":
        from mamp_pipeline.report.runs_page import ClipFeatures
        from mamp_trainer.analysis.run_analysis import embed_test_clips

        placed = embed_test_clips(Path(run.path), self._store(run), FEATURE_CLIPS, self.device, self.progress)
        count = f"{len(placed.clip):,} of {placed.total:,}" if len(placed.clip) < placed.total else f"{placed.total:,}"
        return ClipFeatures(
            source=f"The encoder's output for {count} test clips, mean over bodies, segments and joints.",
            names=self._class_titles(run, _store_metadata(self._store(run)).dataset_spec().classes),
            clips=placed.clip,
            label=placed.label,
            values=placed.values,
        )

    def _predictions(self, run: "RunReport") -> "ReconstructionReport":
        from mamp_pipeline.report.counts import label_name
        from mamp_pipeline.report.runs_page import MaskedReconstruction, ReconstructionReport
        from mamp_trainer.analysis.reconstruction import reconstruct_masked

        logger.info(f"{run.name}: predicting hidden tokens")
        metadata = _store_metadata(self._store(run))
        bodies = reconstruct_masked(Path(run.path), self._store(run), RECONSTRUCTED_CLIPS, self.device)
        masking, target = run.settings["masking"], run.settings["target"]
        names = self._class_titles(run, metadata.dataset_spec().classes)
        how = f"{masking['strategy']}, ratio {masking['ratio']:g}"
        how += f", τ {masking['temperature']:g}" if masking["strategy"] == "motion" else ""
        return ReconstructionReport(
            source=f"Test clips from slow to fast by mean intensity, cropped as in testing, masked as trained ({how}).",
            target=target["kind"],
            normalised=target["normalise"],
            skeleton=metadata.skeleton,
            examples=[
                MaskedReconstruction(
                    **{**body._asdict(), "label": label_name(names, body.label), "body": body.body + 1},
                )
                for body in bodies
            ],
        )

    def _store(self, run: "RunReport") -> StoragePath:
        """Return the store that a run is to be looked at on.

        Raises:
            UsageError: none is named, and none is where its dataset's would be.
        """
        if self.store is not None:
            return self.store
        place = default_store(run.settings["dataset"])
        if not place.exists():
            raise UsageError(f"there is no store at {place}", remedy="Name the store of the run with --store.")
        return place

    def _class_titles(self, run: "RunReport", classes: int) -> tuple[str, ...]:
        from mamp_pipeline.report.counts import class_titles

        try:
            layout = _store_metadata(self._store(run)).layout
        except UsageError:
            layout = None
        return class_titles(run.settings["dataset"], classes, layout)


@cache
def _store_metadata(place: StoragePath) -> "StoreMetadata":
    from mamp_schemas.io.store_reader import open_store

    return open_store(place).metadata
