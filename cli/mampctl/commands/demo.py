"""`mampctl demo`: run the whole chain on synthetic clips, in minutes on a CPU."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from mamp_schemas.builtin import PROBE_PROTOCOL
from mamp_schemas.errors import MissingExtraError, StoreError
from mamp_schemas.io.atomic import output_errors, require_new_folder
from mamp_schemas.models.results import EvaluationResult
from mamp_schemas.progress import Progress
from mampctl.options import JsonOption, path_option
from mampctl.output.console import elapsed, print_json, print_line, print_table
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras

logger = logging.getLogger(__name__)


CLIPS, CLASSES, SETUPS, SUBJECTS, SEED = 600, 10, 4, 10, 0
RECIPE = "ntu60-demo"
NEXT_STEPS = """next, on real data (the archives come from the NTU RGB+D site, after registration):
  mampctl ingest ntu60 --raw nturgbd_skeletons_s001_to_s017.zip --exclude NTU_RGBD_samples_with_missing_skeletons.txt
  mampctl build-splits --protocol xsub
  mampctl train pretrain --recipe ntu60-xsub
  mampctl train linear --recipe ntu60-xsub --from data/runs/pretrain-ntu60-xsub"""


def demo(
    out: Annotated[
        Path | None,
        path_option("Keep everything in this new folder. [default: a temporary folder, removed at the end]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole chain on synthetic clips.

    It runs synth, ingest, build-splits, verify, pre-training and two linear evaluations, in under 5 minutes on 2 cores.
    Without PyTorch it stops after the store.
    """
    if out is not None:
        require_new_folder(out)
    missing = _missing_trainer_extra()
    with _output_folder(out) as name, show_progress() as progress:
        folder = Path(name)
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        store = make_demo_store(folder, progress)
        results = None if missing else train_demo(folder, store, progress)
    if as_json:
        print_json(_results_as_json(out, results))
        return
    if results:
        _print_scores(*results)
    elif missing:
        _print_without_training(missing, store, kept=out is not None)
    where = f"{out}: raw files, store and runs; " if out and results else ""
    print_line(f"{where}{elapsed():.0f} s in all; the clips are synthetic: these numbers say nothing about real data")
    print_line(NEXT_STEPS)


@contextmanager
def _output_folder(out: Path | None) -> Iterator[str]:
    """Yield the folder for everything; a temporary one is removed, with a warning after an interruption."""
    if out:
        yield str(out)
        return
    with tempfile.TemporaryDirectory(prefix="mampctl-demo-") as name:
        try:
            yield name
        except KeyboardInterrupt:
            logger.warning("nothing of the demo is kept; with --out FOLDER the files stay")
            raise


def _missing_trainer_extra() -> MissingExtraError | None:
    """Return the error for what training needs and is not installed; None if nothing is missing."""
    try:
        with needed_extras():
            import mamp_trainer.objectives.pretrain  # noqa: F401
    except MissingExtraError as missing:
        return missing
    return None


def _results_as_json(out: Path | None, results: tuple[EvaluationResult, EvaluationResult] | None) -> dict[str, object]:
    """Return the result for JSON output: null where training was left out."""
    pretrained, untrained = (result.model_dump(mode="json") for result in results) if results else (None, None)
    return {"folder": str(out) if out else None, "pretrained": pretrained, "untrained": untrained}


def _print_without_training(missing: MissingExtraError, store: Path, *, kept: bool) -> None:
    print_line("synth, ingest, build-splits and verify are done; pre-training and linear evaluation were left out:")
    print_line(f"{missing.message}. {missing.remedy}")
    store_path = store if kept else Path("FOLDER") / store.name
    hint = "" if kept else "keep the store (demo --out FOLDER) and "
    print_line(f"to train on it elsewhere, {hint}run: mampctl train pretrain --recipe {RECIPE} --store {store_path}")


def _print_scores(pretrained: EvaluationResult, untrained: EvaluationResult) -> None:
    rows = [
        ("pre-trained by MAMP", f"{pretrained.last_top1:.1f}", f"{pretrained.best_top1:.1f}"),
        ("untrained", f"{untrained.last_top1:.1f}", f"{untrained.best_top1:.1f}"),
    ]
    print_line(f"linear evaluation on {pretrained.clips} synthetic test clips of {CLASSES} classes, cross-subject:")
    print_table(rows, ("encoder", "last epoch, top-1 %", "best epoch, top-1 %"))


def make_demo_store(folder: Path, progress: Progress) -> Path:
    """Make a store of synthetic clips with its split, and verify it."""
    from mamp_pipeline.ingest.request import IngestRequest
    from mamp_pipeline.ingest.run import ingest
    from mamp_pipeline.splits import build_manifest
    from mamp_pipeline.store.verify import verify_store
    from mamp_pipeline.synth.ntu import synthesise
    from mamp_schemas.io.manifests import manifest_path, write_manifest
    from mamp_schemas.io.store_reader import open_store
    from mamp_schemas.models.dataset import dataset_spec

    raw, path = folder / "raw.zip", folder / "ntu60.zarr"
    synthesise("ntu60", raw, progress, clips=CLIPS, classes=CLASSES, setups=SETUPS, subjects=SUBJECTS, seed=SEED)
    ingest(IngestRequest("ntu60", (raw,), path, dataset_spec("ntu60").paper_policy), progress)
    store = open_store(path)
    manifest = build_manifest(store, "xsub")
    write_manifest(manifest_path(path, "xsub"), manifest)
    logger.info(f"split: {manifest.counts.train} train, {manifest.counts.test} test clips")
    report = verify_store(store, progress)
    if report.problems:
        raise StoreError(f"{path}: verification failed: {report.problems[0]}", remedy="Run the demo again.")
    logger.info(f"verify: {report.clips} clips, all digests agree")
    return path


def train_demo(folder: Path, store: Path, progress: Progress) -> tuple[EvaluationResult, EvaluationResult]:
    """Pre-train, and return linear evaluations of the pre-trained and of the untrained encoder."""
    from mamp_trainer.analysis.run_analysis import analyse_finished_run
    from mamp_trainer.objectives.pretrain import pretrain
    from mamp_trainer.protocols.classification import train_classifier
    from mamp_trainer.recipes import load_evaluation_recipe, load_recipe
    from mamp_trainer.training.runtime import ComputeContext

    run, context = folder / "runs" / "pretrain", ComputeContext(progress=progress)
    pretrain(load_recipe("pretrain", RECIPE), store, context.for_run(run))
    recipe = load_evaluation_recipe(PROBE_PROTOCOL, RECIPE)
    results = [
        train_classifier(recipe, store, source, context.for_run(folder / "runs" / name))
        for name, source in (("linear-pretrained", run), ("linear-untrained", None))
    ]
    for trained in (run, *(folder / "runs" / name for name in ("linear-pretrained", "linear-untrained"))):
        analyse_finished_run(trained, store, context)
    return results[0], results[1]
